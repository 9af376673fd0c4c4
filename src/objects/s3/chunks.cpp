#include "objects/s3/chunks.h"

#include <charconv>

#include "objects/s3/signature.h"
#include "objects/s3_error.h"

namespace penstock::objects {

namespace {

const std::string& empty_hash() {
  static const std::string kHash = hex(digest_of(Algorithm::Sha256, ""));
  return kHash;
}

S3Error bad_chunk(std::string message) { return S3Error("InvalidRequest", std::move(message)); }

}  // namespace

ChunkDecoder::ChunkDecoder(std::optional<Signing> signing) : signing_(std::move(signing)) {
  if (signing_) previous_ = signing_->seed;
}

void ChunkDecoder::read_head(std::string_view line) {
  const size_t mark = line.find(';');
  const auto size = line.substr(0, mark);
  const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), left_, 16);
  if (size.empty() || size.size() > 15 || error != std::errc{} || end != size.data() + size.size()) {
    throw bad_chunk("a chunk does not begin with its size");
  }
  last_ = left_ == 0;
  chunk_signature_.clear();
  if (signing_) {
    static constexpr std::string_view kName = ";chunk-signature=";
    if (mark == std::string_view::npos || !line.substr(mark).starts_with(kName)) {
      throw bad_chunk("a chunk has no signature");
    }
    chunk_signature_ = line.substr(mark + kName.size());
    digest_.emplace(Algorithm::Sha256);
  }
  if (last_) {
    end_chunk();
    state_ = State::Trailer;
  } else {
    state_ = State::Data;
  }
}

void ChunkDecoder::end_chunk() {
  if (!signing_) return;
  const auto text = fmt::format("AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{}\n{}\n{}", signing_->time, signing_->scope,
                                previous_, empty_hash(), hex(digest_->finish()));
  const auto expected = hex(hmac_sha256(signing_->key, text));
  if (!same_signature(expected, chunk_signature_)) throw S3Error("SignatureDoesNotMatch");
  previous_ = expected;
}

void ChunkDecoder::read_trailer(std::string_view line) {
  if (line.empty()) {
    if (signing_ && !trailers_.empty()) {
      const auto given = trailers_.find("x-amz-trailer-signature");
      const auto text = fmt::format("AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{}\n{}", signing_->time, signing_->scope,
                                    previous_, hex(digest_of(Algorithm::Sha256, trailer_text_)));
      if (given == trailers_.end() || !same_signature(hex(hmac_sha256(signing_->key, text)), given->second)) {
        throw S3Error("SignatureDoesNotMatch");
      }
    }
    state_ = State::Done;
    return;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) throw bad_chunk("a trailer has no value");
  std::string name(line.substr(0, colon));
  for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  while (!value.empty() && value.back() == ' ') value.remove_suffix(1);
  if (trailers_.size() >= 16) throw bad_chunk("too many trailers");
  if (name != "x-amz-trailer-signature") trailer_text_ += fmt::format("{}:{}\n", name, value);
  trailers_[name] = value;
}

void ChunkDecoder::feed(std::string_view bytes, const std::function<void(std::string_view)>& sink) {
  while (!bytes.empty()) {
    if (state_ == State::Done) throw bad_chunk("there are bytes behind the last chunk");
    if (state_ == State::Data) {
      const auto piece = bytes.substr(0, static_cast<size_t>(std::min<uint64_t>(left_, bytes.size())));
      if (digest_ && signing_) digest_->update(piece);
      sink(piece);
      bytes.remove_prefix(piece.size());
      left_ -= piece.size();
      if (left_ == 0) state_ = State::AfterData;
      continue;
    }
    // Lines: they may come in pieces, and some clients end trailers with a bare newline.
    const size_t end = bytes.find('\n');
    const auto piece = bytes.substr(0, end);
    if (line_.size() + piece.size() > kMaxLine) throw bad_chunk("a chunk's head is too long");
    line_ += piece;
    if (end == std::string_view::npos) return;
    bytes.remove_prefix(end + 1);
    if (line_.ends_with('\r')) line_.pop_back();
    const std::string line = std::exchange(line_, {});
    if (state_ == State::Head) {
      read_head(line);
    } else if (state_ == State::AfterData) {
      if (!line.empty()) throw bad_chunk("a chunk is longer than its size says");
      end_chunk();
      state_ = State::Head;
    } else {
      read_trailer(line);
    }
  }
}

void ChunkDecoder::finish() const {
  if (state_ == State::Done) return;
  // Some clients send no empty line behind the last chunk.
  if (state_ == State::Trailer && trailers_.empty() && line_.empty()) return;
  throw S3Error("IncompleteBody");
}

}  // namespace penstock::objects
