// What the object store keeps, as values.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "objects/file_tree.h"
#include "objects/segment_log.h"

namespace penstock::objects {

enum class Versioning { Off = 0, Enabled = 1, Suspended = 2 };

struct Bucket {
  int64_t id = 0;
  std::string name;
  std::string owner;  // canonical id of an account
  Time created;
  Versioning versioning = Versioning::Off;
  json::object config;  // by name: "policy", "cors", "lifecycle", "tags", "acl", "lock", …
};
using BucketPtr = std::shared_ptr<const Bucket>;  // a snapshot: the engine replaces it at each change

// Where the bytes of an object, or of a part, lie.
struct Content {
  int64_t id = 0;
  Place place;
  uint64_t size = 0;
  uint32_t crc = 0;  // CRC-32C of all
};

struct Part {
  int number = 0;
  Content content;
  std::string etag;
  Time modified;
  json::object checksum;  // "CRC32": base64; "nonce" of one that is sealed (s3/sse.h)
};

struct Object {
  std::string key;
  int64_t sequence = 0;  // a later version of the key has a greater one
  std::string version = "null";
  bool marker = false;  // a delete marker
  uint64_t size = 0;
  std::string etag;  // without quotes
  Time modified;
  Content content;    // id 0: none, or parts
  std::string parts;  // of a multipart upload: names its list
  json::object meta;  // "headers", "user", "tags", "checksum", "retention", "hold", "sse"; "owner" and "acl"
                      // where they are not the bucket's owner and private
  std::optional<FileStamp> file;  // the content is a task's plain file
  bool latest = true;
};

// What a put replaces or adds to; null when the key has no object (a delete marker counts as none).
using Check = std::function<void(const Object* current)>;

struct NewObject {
  std::string key;
  std::string etag;
  json::object meta;
  Check check;  // throws when the write must not be; called with nothing changed yet
};

struct Written {
  std::string version;  // empty in a bucket without versions
  std::string etag;
  Time modified;
};

struct Removed {
  std::string version;  // of the version that went, or of the marker that came; may be empty
  bool marker = false;  // a marker came, or went
};

struct ListQuery {
  std::string prefix, delimiter;
  std::string after;          // only keys behind this one
  std::string after_version;  // with `after`: also its versions behind this one
  size_t limit = 1'000;
};

struct ListPage {
  std::vector<Object> objects;
  std::vector<std::string> prefixes;
  bool truncated = false;
  std::string next;          // the last key or prefix of this page
  std::string next_version;  // of versions
};

struct UploadInfo {
  std::string id, key;
  Time initiated;
  json::object meta;
};

struct UploadPage {
  std::vector<UploadInfo> uploads;
  std::vector<std::string> prefixes;
  bool truncated = false;
  std::string next_key, next_id;
};

struct CompletedPart {
  int number = 0;
  std::string etag;
  json::object checksum;
};

}  // namespace penstock::objects
