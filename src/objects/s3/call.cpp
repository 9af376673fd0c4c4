#include "objects/s3/call.h"

#include <charconv>

#include "base/base64.h"
#include "base/utf8.h"
#include "objects/checksum.h"

namespace penstock::objects {

namespace {

constexpr uint64_t kMaxObject = uint64_t{5} << 40;
constexpr std::string_view kStreaming = "STREAMING-";
constexpr size_t kPiece = 128 * 1024;  // that is read of a body at once
constexpr size_t kInline = 32 * 1024;  // up to here sealing costs less than another thread

// How the bytes of the body are framed and what they must add up to.
struct Framing {
  uint64_t length = UINT64_MAX;  // of the decoded body, where it is known
  bool chunked = false;          // aws-chunked
  bool trailer = false;
  std::optional<ChunkDecoder::Signing> signing;
  std::string sha256;  // raw, where the header gives it
  std::string md5;     // raw
};

std::string read_md5(const Call& call) {
  // A header that is there but empty is wrong as well.
  for (const auto& [name, value] : call.http.headers) {
    if (name != "content-md5") continue;
    const auto raw = base64_decode(value);
    if (!raw || raw->size() != 16) throw S3Error("InvalidDigest");
    return *raw;
  }
  return {};
}

Framing framing_of(const Call& call) {
  Framing out;
  out.md5 = read_md5(call);
  const std::string hash(call.header("x-amz-content-sha256"));
  const auto& auth = call.authorization;
  if (hash.starts_with(kStreaming)) {
    out.chunked = true;
    out.trailer = hash.ends_with("-TRAILER");
    if (hash == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" || hash == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") {
      if (auth.kind != AuthKind::HeaderV4 || !call.who) {
        throw S3Error("InvalidRequest", "Signed chunks need a signature of the request in its header");
      }
      out.signing = ChunkDecoder::Signing{signing_key(call.who->secret, auth.date, auth.region), auth.time, auth.scope,
                                          auth.signature};
    } else if (hash != "STREAMING-UNSIGNED-PAYLOAD-TRAILER") {
      throw S3Error("NotImplemented", fmt::format("x-amz-content-sha256 {} is not supported", hash));
    }
  } else if (!hash.empty() && hash != "UNSIGNED-PAYLOAD") {
    const auto raw = unhex(hash);
    if (!raw || raw->size() != 32) {
      throw S3Error("InvalidArgument",
                    "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "
                    "STREAMING-UNSIGNED-PAYLOAD-TRAILER or a SHA-256");
    }
    out.sha256 = *raw;
  }
  if (out.chunked) {
    const auto decoded = call.header("x-amz-decoded-content-length");
    if (decoded.empty()) throw S3Error("MissingContentLength");
    out.length = static_cast<uint64_t>(number_of(decoded, "x-amz-decoded-content-length"));
  } else if (const auto length = call.http.body->length();
             length && (*length > 0 || !call.header("content-length").empty())) {
    out.length = *length;
  } else if (call.header("transfer-encoding").empty()) {
    throw S3Error("MissingContentLength");
  }
  if (out.length != UINT64_MAX && out.length > kMaxObject) {
    throw S3Error("EntityTooLarge")
        .with("ProposedSize", std::to_string(out.length))
        .with("MaxSizeAllowed", std::to_string(kMaxObject));
  }
  return out;
}

void check_digests(const Framing& framing, uint64_t size, std::string_view md5, std::string_view sha256) {
  if (framing.length != UINT64_MAX && size != framing.length) throw S3Error("IncompleteBody");
  if (!framing.md5.empty() && framing.md5 != md5) {
    throw S3Error("BadDigest")
        .with("ExpectedDigest", base64_encode(framing.md5))
        .with("CalculatedDigest", base64_encode(md5));
  }
  if (!framing.sha256.empty() && framing.sha256 != sha256) {
    throw S3Error("XAmzContentSHA256Mismatch")
        .with("ClientComputedContentSHA256", hex(framing.sha256))
        .with("S3ComputedContentSHA256", hex(sha256));
  }
}

void check_checksum(BodyDigests& digests, const ChunkDecoder* decoder, const std::string& computed) {
  if (!digests.algorithm) return;
  if (decoder != nullptr) {
    const auto given = decoder->trailers().find(checksum_header(checksum_name(*digests.algorithm)));
    if (given != decoder->trailers().end()) digests.value = given->second;
  }
  const auto right = base64_encode(computed);
  if (!digests.value.empty() && digests.value != right) {
    throw S3Error("BadDigest", fmt::format("The {} you specified did not match the calculated checksum.",
                                           checksum_name(*digests.algorithm)));
  }
  digests.value = right;
}

// Hands the decoded body to `sink` piece by piece.
template <class Sink>
Async<> pump(Call& call, std::optional<ChunkDecoder>& decoder, uint64_t length, Sink& sink) {
  uint64_t size = 0;
  std::string decoded;
  const size_t room = std::min<uint64_t>(std::max<uint64_t>(call.http.body->length().value_or(kPiece), 1), kPiece);
  const auto memory = std::make_unique_for_overwrite<char[]>(room);
  while (true) {
    const size_t got = co_await call.http.body->read_into(memory.get(), room);
    if (got == 0) break;
    const std::string_view piece(memory.get(), got);
    if (decoder) {
      decoded.clear();
      decoder->feed(piece, [&](std::string_view bytes) { decoded += bytes; });
      size += decoded.size();
      if (size > length) throw S3Error("IncompleteBody", "The body has more bytes than it announced");
      co_await sink(decoded);
    } else {
      size += piece.size();
      co_await sink(piece);
    }
  }
  if (decoder) decoder->finish();
}

}  // namespace

BodyDigests digests_of_headers(const http::Request& request) {
  BodyDigests out;
  size_t count = 0;
  for (const auto& [name, value] : request.headers) {
    static constexpr std::string_view kPrefix = "x-amz-checksum-";
    if (!name.starts_with(kPrefix)) continue;
    const auto suffix = std::string_view(name).substr(kPrefix.size());
    if (suffix == "algorithm" || suffix == "mode" || suffix == "type") continue;
    const auto algorithm = checksum_algorithm(suffix);
    if (!algorithm) throw S3Error("InvalidRequest", fmt::format("The algorithm of {} is not known", name));
    const auto raw = base64_decode(value);
    if (!raw || raw->size() != digest_size(*algorithm)) {
      throw S3Error("BadDigest", fmt::format("Value for {} header is invalid.", name));
    }
    if (++count > 1) throw S3Error("InvalidRequest", "Expecting a single x-amz-checksum- header.");
    out = {algorithm, value};
  }
  const auto from_name = [&](std::string_view name, std::string_view header) {
    if (name.empty()) return;
    const auto algorithm = checksum_algorithm(name);
    if (!algorithm) throw S3Error("InvalidRequest", fmt::format("Value for {} header is invalid.", header));
    if (out.algorithm && *out.algorithm != *algorithm) {
      throw S3Error("InvalidRequest", fmt::format("{} does not fit the checksum that was sent", header));
    }
    out.algorithm = algorithm;
  };
  const auto trailer = request.header("x-amz-trailer");
  static constexpr std::string_view kTrailer = "x-amz-checksum-";
  if (trailer.starts_with(kTrailer)) from_name(trailer.substr(kTrailer.size()), "x-amz-trailer");
  from_name(request.header("x-amz-sdk-checksum-algorithm"), "x-amz-sdk-checksum-algorithm");
  return out;
}

Intake::Intake(Engine& engine, std::vector<Algorithm> extra, std::optional<StreamCipher> cipher)
    : engine_(engine), upload_(engine, cipher ? std::vector<Algorithm>{} : extra), cipher_(std::move(cipher)) {
  if (!cipher_) return;
  for (const Algorithm algorithm : extra) extra_.emplace_back(algorithm);
}

void Intake::absorb(std::string_view piece) {
  md5_.update(piece);
  sha256_.update(piece);
  for (Digest& digest : extra_) digest.update(piece);
  sealed_ = piece;
  cipher_->apply(sealed_.data(), sealed_.size());
}

Async<> Intake::write(std::string_view piece) {
  if (!cipher_) {
    co_await upload_.write(piece);
    co_return;
  }
  const auto work = [&] { absorb(piece); };
  if (piece.size() <= kInline) {
    work();
  } else {
    co_await engine_.pool().run(work);
  }
  co_await upload_.write(sealed_);
}

Async<Staged> Intake::finish() {
  Staged staged = co_await upload_.finish();
  if (!cipher_) {
    plain_sha256_ = staged.sha256;
    co_return staged;
  }
  staged.md5 = md5_.finish();
  plain_sha256_ = sha256_.finish();
  staged.extra.clear();
  for (Digest& digest : extra_) staged.extra.push_back(digest.finish());
  co_return staged;
}

Async<Staged> receive(Call& call, Engine& engine, BodyDigests& digests, std::optional<StreamCipher> cipher) {
  Framing framing = framing_of(call);
  std::vector<Algorithm> extra;
  if (digests.algorithm) extra.push_back(*digests.algorithm);
  Intake intake(engine, extra, std::move(cipher));
  std::optional<ChunkDecoder> decoder;
  if (framing.chunked) decoder.emplace(std::move(framing.signing));
  auto sink = [&intake](std::string_view bytes) { return intake.write(bytes); };
  co_await pump(call, decoder, framing.length, sink);
  if (framing.length != UINT64_MAX && intake.size() != framing.length) throw S3Error("IncompleteBody");
  Staged staged = co_await intake.finish();
  check_digests(framing, staged.size, staged.md5, intake.sha256());
  if (digests.algorithm) check_checksum(digests, decoder ? &*decoder : nullptr, staged.extra[0]);
  co_return staged;
}

Async<std::string> receive_text(Call& call, size_t limit, bool with_checksum) {
  // Unlike an object's, a missing length means that there is no body.
  if (call.http.body->length() == 0u && call.header("x-amz-decoded-content-length").empty()) {
    const auto md5 = read_md5(call);
    if (!md5.empty() && md5 != digest_of(Algorithm::Md5, "")) throw S3Error("BadDigest");
    co_return std::string();
  }
  Framing framing = framing_of(call);
  BodyDigests digests;
  if (with_checksum) digests = digests_of_headers(call.http);
  std::string text;
  std::optional<ChunkDecoder> decoder;
  if (framing.chunked) decoder.emplace(std::move(framing.signing));
  auto sink = [&text, limit](std::string_view bytes) -> Async<> {
    if (text.size() + bytes.size() > limit) throw S3Error("MaxMessageLengthExceeded");
    text += bytes;
    co_return;
  };
  co_await pump(call, decoder, framing.length, sink);
  check_digests(framing, text.size(), digest_of(Algorithm::Md5, text), digest_of(Algorithm::Sha256, text));
  if (digests.algorithm) {
    check_checksum(digests, decoder ? &*decoder : nullptr, digest_of(*digests.algorithm, text));
  }
  co_return text;
}

namespace {
constexpr char kMark = '\x01';  // no header holds it
}

std::string kept_text(std::string_view value) {
  return is_utf8(value) ? std::string(value) : kMark + base64_encode(value);
}

std::string shown_text(const json::value& kept) {
  std::string text = to_std(kept.as_string());
  if (!text.starts_with(kMark)) return text;
  return base64_decode(std::string_view(text).substr(1)).value_or("");
}

int64_t number_of(std::string_view text, std::string_view name) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || value < 0) {
    S3Error failure("InvalidArgument", fmt::format("Provided {} not an integer or within integer range", name));
    throw failure.with("ArgumentName", std::string(name)).with("ArgumentValue", std::string(text));
  }
  return value;
}

std::string_view strip_quotes(std::string_view etag) {
  while (etag.starts_with(' ')) etag.remove_prefix(1);
  while (etag.ends_with(' ')) etag.remove_suffix(1);
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return etag;
}

std::string quote_etag(std::string_view etag) { return fmt::format("\"{}\"", etag); }

std::string iso_time(Time time) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(time);
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(time - whole).count();
  std::string text = format_time(whole);
  text.pop_back();
  return fmt::format("{}.{:03}Z", text, millis);
}

std::string checksum_header(std::string_view algorithm) {
  std::string name = "x-amz-checksum-" + std::string(algorithm);
  for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return name;
}

void write_checksums(XmlWriter& xml, const json::object& checksums) {
  for (const auto& [name, value] : checksums) {
    if (name == "nonce") continue;
    xml.element("Checksum" + (name == "type" ? std::string("Type") : std::string(name)), to_std(value.as_string()));
  }
}

void add_checksums(http::Response& response, const json::object& checksums) {
  for (const auto& [name, value] : checksums) {
    if (name != "nonce") response.set(checksum_header(name), to_std(value.as_string()));
  }
}

http::Response xml_response(std::string xml, int status) {
  http::Response response;
  response.status = status;
  response.set("Content-Type", "application/xml");
  response.body = std::move(xml);
  return response;
}

http::Response empty_response(int status) {
  http::Response response;
  response.status = status;
  return response;
}

}  // namespace penstock::objects
