#include "objects/logged_put.h"

#include "base/error.h"

namespace penstock::objects {

namespace {

constexpr char kPut = 'P';

void add_number(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void add_text(std::string& out, std::string_view text) {
  add_number(out, text.size());
  out += text;
}

class Reader {
 public:
  explicit Reader(std::string_view rest) : rest_(rest) {}
  uint64_t number() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<uint8_t>(take(1)[0]);
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
    throw damaged();
  }
  std::string text() {
    const uint64_t size = number();
    return std::string(take(size));
  }
  std::string_view take(uint64_t size) {
    if (size > rest_.size()) throw damaged();
    const auto out = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return out;
  }
  void end() const {
    if (!rest_.empty()) throw damaged();
  }

 private:
  static Error damaged() { return {Code::DataLoss, "an operation of the object log cannot be read"}; }
  std::string_view rest_;
};

}  // namespace

std::string encode(const LoggedPut& put) {
  std::string out(1, kPut);
  out.reserve(64 + put.key.size() + put.version.size() + put.etag.size() + put.meta.size() + put.sha256.size());
  add_number(out, static_cast<uint64_t>(put.bucket));
  for (const std::string* text : {&put.key, &put.version, &put.etag, &put.meta}) add_text(out, *text);
  add_number(out, static_cast<uint64_t>(put.modified));
  add_text(out, put.sha256);
  add_number(out, static_cast<uint64_t>(put.file));
  add_number(out, put.size);
  add_number(out, put.crc);
  return out;
}

LoggedPut decode_put(std::string_view operation) {
  Reader reader(operation);
  LoggedPut put;
  if (reader.take(1)[0] != kPut) throw Error(Code::DataLoss, "an operation of the object log is not known");
  put.bucket = static_cast<int64_t>(reader.number());
  for (std::string* text : {&put.key, &put.version, &put.etag, &put.meta}) *text = reader.text();
  put.modified = static_cast<int64_t>(reader.number());
  put.sha256 = reader.text();
  put.file = static_cast<int64_t>(reader.number());
  put.size = reader.number();
  put.crc = static_cast<uint32_t>(reader.number());
  reader.end();
  return put;
}

}  // namespace penstock::objects
