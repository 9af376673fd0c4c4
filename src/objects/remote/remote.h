// An object store outside of this program: one bucket of an S3 or Google Cloud Storage service, a web server, a folder
// of this machine, or an image in a registry. What each can do of this is said beside it.
//
// Every function blocks on the network: call it on a pool of its own. Thread-safe: several objects, and several parts
// of one, may be on their way at once. Nothing is tried again here; transfer.h does that.
//
// Errors: NotFound (the bucket or the object), PermissionDenied and Unauthenticated (the credentials), Unavailable,
// DeadlineExceeded and ResourceExhausted (worth another try), Cancelled (stopped), FailedPrecondition (any other
// refusal, with the store's own words), Unimplemented. Messages name the object and never a secret.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/client.h"
#include "objects/remote/stop.h"

namespace penstock::objects {

struct RemoteObject {
  std::string key;
  uint64_t size = 0;
  // What changes when the content does; empty when the store has no such thing.
  std::string version;
};

struct RemotePage {
  std::vector<RemoteObject> objects;  // by key
  std::string next;                   // what the next page is asked for with; empty on the last one
};

// An upload in parts, which may be sent in any order and at once. Gone without a trace unless finish() was called.
class RemoteUpload {
 public:
  virtual ~RemoteUpload() = default;
  virtual uint64_t part_size() const = 0;  // of all but the last
  // Part `number`, from 0: the file's bytes from number * part_size() on.
  virtual void send(size_t number, int file, uint64_t length) = 0;
  virtual void finish() = 0;
  virtual void abort() noexcept = 0;
};

class Remote {
 public:
  virtual ~Remote() = default;

  // "s3://bucket/key", for messages.
  virtual std::string name_of(std::string_view key) const = 0;

  // Empty when there is no object of exactly this key.
  virtual std::optional<RemoteObject> find(const std::string& key) = 0;
  // Those whose key starts with `prefix`.
  virtual RemotePage list(const std::string& prefix, const std::string& token, size_t limit) = 0;
  // Hands the bytes of [offset, offset + length) to `sink`, as they come; `sink` returns false when it has enough.
  // FailedPrecondition when the object is not of that version any more.
  virtual void read(const RemoteObject& object, uint64_t offset, uint64_t length,
                    const std::function<bool(std::string_view)>& sink) = 0;

  // Replaces the object by the `size` first bytes of an open file.
  virtual void put(const std::string& key, int file, uint64_t size) = 0;
  // Null where one put() is the best way for so many bytes.
  virtual std::unique_ptr<RemoteUpload> begin_upload(const std::string&, uint64_t /*size*/) { return nullptr; }
  // One that is not there is no error.
  virtual void remove(const std::string& key) = 0;

  // Where the object or folder lies on this machine, if a task can be given it as it is. NotFound, PermissionDenied.
  virtual std::optional<std::filesystem::path> local_path(const std::string&) { return std::nullopt; }
};

// What the network stores have in common.
struct RemoteOptions {
  http::ClientPool* connections = nullptr;  // never null in use
  std::shared_ptr<const Stop> stop;         // never null in use
  // Whether a connection to this address may be made; empty: to any. Those to hosts that a user names are asked about.
  std::function<bool(const std::string&)> may_connect;
  std::string ca_file, ca_pem;
  bool verify_tls = true;
  std::chrono::seconds stall_timeout{60};
};

// A request with those options filled in. Requests that ask about addresses keep no connection.
http::ClientRequest remote_request(const RemoteOptions& options, std::string method, std::string url);
http::ClientResponse remote_fetch(const RemoteOptions& options, const http::ClientRequest& request);
// Makes the request hand over the bytes of [offset, offset + length) alone, also where the server sends all of them.
// Call check_range() after it.
struct RangeReader {
  uint64_t offset, length;
  const std::function<bool(std::string_view)>& sink;
  uint64_t skip = 0, given = 0;
  bool enough = false;  // the sink said so
  void attach(http::ClientRequest& request);
  // Unavailable when fewer bytes came than asked for.
  void check(const std::string& name) const;

 private:
  bool take(std::string_view piece);
};

// Makes the request's body the file's bytes from `offset` on.
void upload_from(http::ClientRequest& request, int file, uint64_t offset, uint64_t length);
// Of a status that is no success and has no better words: 404 NotFound, 403 PermissionDenied, 5xx Unavailable, …
Error remote_error(int status, std::string message);

}  // namespace penstock::objects
