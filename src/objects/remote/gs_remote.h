// A bucket of Google Cloud Storage by its JSON API, with the tokens of a service account. (With HMAC keys it speaks S3:
// s3_remote.h.)
#pragma once

#include <mutex>

#include "base/clock.h"
#include "objects/remote/remote.h"

namespace penstock::objects {

// Gets access tokens for a key file of Google's: a service account's, for which a text signed with its private key is
// exchanged, or a user's with a refresh token. Tokens are kept until shortly before their end. Thread-safe; blocks.
class GsTokens {
 public:
  // InvalidArgument when the JSON is no such file; its content is not repeated.
  explicit GsTokens(std::string_view key_file);
  ~GsTokens();
  GsTokens(const GsTokens&) = delete;

  // Unauthenticated with the words of the token's issuer.
  std::string token(const RemoteOptions& options);

 private:
  std::string assertion(Time now) const;
  std::string type_, email_, key_id_, private_key_, token_uri_, client_id_, client_secret_, refresh_token_;
  std::mutex mutex_;
  std::string token_;
  Time until_{};
};

struct GsPlace {
  std::string bucket;
  std::string endpoint;              // "https://host:port"; empty: Google's
  std::shared_ptr<GsTokens> tokens;  // null: nobody in particular. Shared by all buckets of one key file.
  uint64_t chunk_size = 16ull << 20;
};

class GsRemote : public Remote {
 public:
  GsRemote(GsPlace place, RemoteOptions options);

  std::string name_of(std::string_view key) const override;
  std::optional<RemoteObject> find(const std::string& key) override;
  RemotePage list(const std::string& prefix, const std::string& token, size_t limit) override;
  void read(const RemoteObject& object, uint64_t offset, uint64_t length,
            const std::function<bool(std::string_view)>& sink) override;
  // More than a chunk goes as a resumable upload: what failed goes on where it was.
  void put(const std::string& key, int file, uint64_t size) override;
  void remove(const std::string& key) override;

 private:
  http::ClientRequest make(std::string method, const std::string& path) const;
  http::ClientResponse call(const http::ClientRequest& request, const std::string& key) const;
  Error error_of(const http::ClientResponse& response, const std::string& key) const;
  std::string path_of(std::string_view key) const;
  void put_chunks(const std::string& session, const std::string& key, int file, uint64_t size) const;

  GsPlace place_;
  RemoteOptions options_;
};

}  // namespace penstock::objects
