// A bucket of any service that speaks S3: AWS, MinIO, another Penstock, or Google's with HMAC keys.
#pragma once

#include <mutex>

#include "objects/remote/remote.h"

namespace penstock::objects {

struct S3Place {
  std::string bucket;
  std::string scheme = "s3";  // that its objects are called by: "s3", "minio", "gs"
  std::string endpoint;       // "https://host:port", no path; empty: AWS'
  std::string region;         // empty: us-east-1, or what the service says
  bool path_style = true;     // else BUCKET.host
  // Without an access key requests are not signed.
  std::string access_key, secret_key, session_token;
  uint64_t part_size = 16ull << 20;  // at least; objects up to here go in one request
};

class S3Remote : public Remote {
 public:
  // InvalidArgument for an endpoint that is none.
  S3Remote(S3Place place, RemoteOptions options);

  std::string name_of(std::string_view key) const override;
  std::optional<RemoteObject> find(const std::string& key) override;
  RemotePage list(const std::string& prefix, const std::string& token, size_t limit) override;
  void read(const RemoteObject& object, uint64_t offset, uint64_t length,
            const std::function<bool(std::string_view)>& sink) override;
  void put(const std::string& key, int file, uint64_t size) override;
  // Uploads of the same key that were left half-made, as by a crash, are dropped first: two writers of one key would
  // spoil each other's.
  std::unique_ptr<RemoteUpload> begin_upload(const std::string& key, uint64_t size) override;
  void remove(const std::string& key) override;

 private:
  friend class S3Upload;
  using Query = std::vector<std::pair<std::string, std::string>>;

  http::ClientRequest make(std::string method, const std::string& key, const Query& query = {}) const;
  // Signs it and sends it, once more where the service says that the bucket is in another region.
  http::ClientResponse send(http::ClientRequest request, std::string_view payload_hash) const;
  http::ClientResponse call(http::ClientRequest request, const std::string& key) const;  // throws unless 2xx
  http::ClientResponse call_with_file(http::ClientRequest request, const std::string& key, int file, uint64_t offset,
                                      uint64_t length) const;
  void sign(http::ClientRequest& request, std::string_view payload_hash) const;
  Error error_of(const http::ClientResponse& response, const std::string& key) const;
  void drop_uploads(const std::string& key) const;
  std::string region() const;

  S3Place place_;
  RemoteOptions options_;
  std::string base_;       // "https://host:port" with the bucket's path or name
  std::string base_path_;  // "/bucket" or empty
  bool aws_ = false;       // its endpoints are named by regions
  mutable std::mutex mutex_;
  mutable std::string region_;
};

}  // namespace penstock::objects
