// Decodes bodies in the form aws-chunked:
//
//   1000;chunk-signature=…\r\n <4096 bytes> \r\n … 0;chunk-signature=…\r\n [name:value\r\n …] \r\n
//
// signed or not, with trailers or without. Pure; one body an object.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "objects/checksum.h"

namespace penstock::objects {

class ChunkDecoder {
 public:
  struct Signing {
    std::string key;  // signing_key()
    std::string time, scope;
    std::string seed;  // the request's signature
  };
  // Without `signing`, chunks carry no signature.
  explicit ChunkDecoder(std::optional<Signing> signing);

  // Hands the data that is in `bytes` to `sink`, in pieces. Throws InvalidRequest or IncompleteBody for what is no
  // such form, SignatureDoesNotMatch for a chunk that was changed.
  void feed(std::string_view bytes, const std::function<void(std::string_view)>& sink);
  // Throws IncompleteBody when the end has not come.
  void finish() const;
  // In lower case: "x-amz-checksum-crc32".
  const std::map<std::string, std::string, std::less<>>& trailers() const { return trailers_; }

 private:
  enum class State { Head, Data, AfterData, Trailer, Done };
  void read_head(std::string_view line);
  void end_chunk();
  void read_trailer(std::string_view line);

  static constexpr size_t kMaxLine = 8 * 1024;
  std::optional<Signing> signing_;
  std::string previous_;
  State state_ = State::Head;
  std::string line_;
  uint64_t left_ = 0;
  bool last_ = false;
  std::string chunk_signature_;
  std::optional<Digest> digest_;
  std::map<std::string, std::string, std::less<>> trailers_;
  std::string trailer_text_;
};

}  // namespace penstock::objects
