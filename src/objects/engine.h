// The durable object store: buckets, versions of objects, multipart uploads.
//
// What an object is stands in SQL (<folder>/meta.db); what it holds is a content: small ones are records of a log that
// is synced once for all who wait (segment_log.h), large ones files of their own, written aside, synced and renamed.
// Equal contents are kept once, by SHA-256, and counted. Objects of multipart uploads are lists of contents: completing
// one copies nothing. What a crash leaves without a row is found and removed at the next start.
//
// A put without a condition is acknowledged when one record of the log is synced, which holds its row as an operation
// (logged_put.h) and a small content with it. After that the row goes into SQL, where everybody sees it at once, but
// nobody waits for that to be synced: what SQL loses with the power is put again from the log. Every other write is
// acknowledged when SQL has synced it, and with it all that SQL had before.
//
// Tasks on this machine read and write objects as plain files, <objects>/<bucket>/<key>. Such a file is the object's
// newest state, unless the row of that key carries its stamp (inode, time, size), by which it is that row's content
// laid out for a task. Writing the key through the engine removes the file; in a versioned bucket its content is first
// taken in as a version.
//
// Coroutines may be awaited on any executor; functions that say so block. Errors are S3Error where S3 has a code.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/async.h"
#include "base/clock.h"
#include "base/json.h"
#include "db/database.h"
#include "objects/model.h"
#include "objects/s3_error.h"

namespace penstock::objects {

class Staged;

class Engine {
 public:
  struct Options {
    std::filesystem::path folder;       // <data>/s3
    std::filesystem::path objects;      // <data>/objects
    std::string owner;                  // of buckets that are only a folder
    bool care = true;                   // compaction, scrubbing and the like in the background
    uint64_t segment_size = 64u << 20;  // of the log
  };
  Engine(Options options, const Clock& clock);
  ~Engine();

  BlockingPool& pool();
  const FileTree& files() const;
  const Clock& clock() const;
  const std::string& owner() const;  // of buckets that are only a folder

  // --- buckets ---
  BucketPtr bucket(std::string_view name) const;  // throws NoSuchBucket
  BucketPtr find_bucket(std::string_view name) const;
  std::vector<BucketPtr> buckets() const;  // by name
  // AlreadyExists when the name is taken.
  Async<BucketPtr> create_bucket(Bucket bucket);
  void create_bucket_now(Bucket bucket);    // blocks
  Async<> delete_bucket(std::string name);  // BucketNotEmpty
  // `change` works on a copy, on the writer's thread.
  Async<> change_bucket(std::string name, std::function<void(Bucket&)> change);

  // --- objects ---
  // The newest, or that version. Empty when there is none; a delete marker is returned as such.
  Async<std::optional<Object>> find(BucketPtr bucket, std::string key, std::optional<std::string> version = {});
  std::optional<Object> find_now(const Bucket& bucket, const std::string& key);  // blocks
  // With the bytes, where they lie in the log and are at most this many; in `data`.
  struct Found {
    std::optional<Object> object;
    std::optional<std::string> data;
  };
  Async<Found> find_with_data(BucketPtr bucket, std::string key, std::optional<std::string> version);
  Async<Written> put(BucketPtr bucket, NewObject object, Staged staged);
  // `source` stays as it is; its content is shared. With the same key, its metadata is replaced.
  Async<Written> copy(BucketPtr bucket, NewObject object, BucketPtr source_bucket, Object source);
  // Without a version: as the bucket's versioning has it. `check` sees what is to go.
  Async<Removed> remove(BucketPtr bucket, std::string key, std::optional<std::string> version, Check check = {});
  struct RemoveKey {
    std::string key;
    std::optional<std::string> version;
    Check check;
  };
  struct RemoveOutcome {
    Removed removed;
    std::exception_ptr error;
  };
  // Many, in one transaction; each for itself.
  Async<std::vector<RemoveOutcome>> remove_many(BucketPtr bucket, std::vector<RemoveKey> keys);
  // NoSuchKey, NoSuchVersion; MethodNotAllowed for a delete marker.
  Async<Object> change_object(BucketPtr bucket, std::string key, std::optional<std::string> version,
                              std::function<void(Object&)> change);
  Async<ListPage> list(BucketPtr bucket, ListQuery query);
  ListPage list_now(const Bucket& bucket, const ListQuery& query);  // blocks
  Async<ListPage> list_versions(BucketPtr bucket, ListQuery query);

  // --- multipart uploads ---
  Async<std::string> create_upload(BucketPtr bucket, std::string key, json::object meta);
  Async<UploadInfo> upload(BucketPtr bucket, std::string key, std::string id);  // NoSuchUpload
  Async<Part> put_part(BucketPtr bucket, std::string key, std::string upload, Part part, Staged staged);
  // The content of `source` as a part, without copying it.
  Async<Part> share_part(BucketPtr bucket, std::string key, std::string upload, Part part);
  Async<std::vector<Part>> upload_parts(std::string upload, int after, size_t limit);
  Async<Written> complete(BucketPtr bucket, std::string upload, std::vector<CompletedPart> chosen,
                          std::function<NewObject(const UploadInfo&, const std::vector<Part>&)> make);
  Async<> abort(BucketPtr bucket, std::string key, std::string upload);
  Async<UploadPage> list_uploads(BucketPtr bucket, ListQuery query);  // after_version is the upload's id
  Async<std::vector<Part>> parts_of(Object object);                   // of an object that was uploaded in parts
  std::vector<Part> parts_now(const Object& object);                  // blocks

  // --- contents ---
  // Opens a content's file, or a task's. Block.
  Descriptor open_content(const Content& content) const;
  std::string read_small(const Content& content) const;  // one of the log
  bool in_log(const Content& content) const { return content.place.segment != 0; }
  // Compares all bytes of a content's file with its checksum, once while this server runs. Throws DataLoss. Blocks.
  void verify(const Content& content);

  // --- for tasks ---
  // Lays the object out as a file, unless it is one. Empty when there is none. Blocks.
  std::optional<std::filesystem::path> materialise(std::string_view bucket, std::string_view key);
  // Every object below "<key>/" or of that key. Blocks.
  void materialise_all(std::string_view bucket, std::string_view key);
  bool remove_now(std::string_view bucket, const std::string& key);  // blocks; as S3's delete

  // For rules of expiry; block.
  ListPage list_versions_now(const Bucket& bucket, const ListQuery& query);
  std::vector<UploadInfo> uploads_now(const Bucket& bucket);
  void abort_now(const Bucket& bucket, const UploadInfo& upload);
  // What `check` refuses stays, silently.
  void remove_checked_now(const Bucket& bucket, const std::string& key, std::optional<std::string> version,
                          const Check& check);

  // --- care; block ---
  void compact();                  // takes dead space of the log back
  size_t scrub(bool pace = true);  // verifies every content; returns how many are damaged
  void expire(Time now);           // lifecycle rules
  struct Usage {
    uint64_t log_bytes = 0, log_dead = 0;
    int64_t contents = 0, objects = 0, files = 0;
  };
  Usage usage();
  // Rules of a bucket's "lifecycle" configuration; set by the S3 face, which knows their form.
  using Expirer = std::function<void(Engine&, const BucketPtr&, Time now)>;
  void set_expirer(Expirer expirer);
  // Writes to a file what an object says whose metadata has "sse": the S3 face seals such objects, and their contents
  // mean nothing to the engine. Blocks.
  using Unsealer = std::function<void(Engine&, const Object&, const std::vector<Part>&, int fd)>;
  void set_unsealer(Unsealer unsealer);
  // An open file without a name that holds what such an object says. FailedPrecondition when nobody but its owner can
  // open it. Blocks.
  Descriptor unseal(const Object& object);

  struct State;

 private:
  friend class Upload;
  void care();
  std::unique_ptr<State> state_;
};

}  // namespace penstock::objects
