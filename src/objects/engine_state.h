// What the engine's sources share. Nobody else includes it.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_set>

#include "objects/engine.h"
#include "objects/logged_put.h"
#include "objects/upload.h"

namespace penstock::objects {

// Contents that nobody refers to any more, once their transaction is committed.
using Garbage = std::vector<Content>;

struct Engine::State {
  State(Options o, const Clock& c);
  ~State();

  Options options;
  const Clock& clock;
  FileTree files;
  BlockingPool pool{6};
  std::unique_ptr<db::Database> database;
  std::unique_ptr<SegmentLog> log;
  // All records of the log before it have their rows, or were refused them. The writer thread's; each transaction
  // writes it down, so that what is in the database and what is to be done again after a loss of power always fit.
  Place decided;

  mutable std::mutex mutex;  // over what follows
  std::map<std::string, BucketPtr, std::less<>> buckets;
  std::map<int64_t, uint64_t> live;      // bytes of each segment that are referred to
  std::map<int64_t, int> pending;        // appends to each that are not committed yet
  std::unordered_set<int64_t> verified;  // file numbers
  std::condition_variable care_ready;
  bool stopping = false;
  bool compaction_wanted = false;
  Expirer expirer;
  Unsealer unsealer;  // set before anything is asked for
  void unseal(Engine& engine, const Object& object, const std::vector<Part>& parts, int fd) const;
  std::thread care;

  // --- contents (engine_contents.cpp) ---
  int64_t new_file_number() const;
  std::filesystem::path temporary_path(int64_t number) const;
  std::filesystem::path file_path(int64_t number) const;
  // On the writer's thread, inside its transaction: the content's id, with one more reference. `place` is where the
  // staged bytes are; what turns out to be there already makes them garbage.
  int64_t add_content(db::Connection& c, const Staged& staged, Place place, Garbage& garbage, bool& kept);
  void add_reference(db::Connection& c, int64_t content);
  void drop_content(db::Connection& c, int64_t content, Garbage& garbage);
  // New objects no longer share what is damaged.
  void distrust(const Content& content);
  // After the commit.
  void dispose(const Garbage& garbage);
  void recover_contents();
  // Copies contents of the log to its end. False when some are damaged and stay.
  bool move(const std::vector<Content>& contents);

  // --- writes ---
  using Job = std::function<void(db::Connection&, Garbage&)>;
  // Runs `job` on the writer and, once it is committed and synced, `after`; resumes then.
  Async<> write(Job job, std::function<void()> after = {});
  void write_now(const Job& job, const std::function<void()>& after = {});
  // The same once the staged bytes are durable: `job` gets the content's id. With an operation, which must say all that
  // `job` does, both go into the log as one, and its sync alone is waited for.
  Async<> write_staged(Staged& staged, std::function<void(db::Connection&, Garbage&, int64_t content)> job,
                       std::function<void()> after = {}, std::string operation = {});

  // --- objects (engine_objects.cpp); inside a transaction ---
  std::optional<Object> current(db::Connection& c, const Bucket& bucket, std::string_view key);
  std::optional<Object> version(db::Connection& c, const Bucket& bucket, std::string_view key,
                                std::string_view version);
  // `meta` is the object's as text. Returns the version.
  std::string insert(db::Connection& c, const Bucket& bucket, Object object, std::string_view meta, Garbage& garbage);
  std::string apply(db::Connection& c, const Bucket& bucket, const LoggedPut& put, int64_t content, Garbage& garbage);
  // Puts again what the log holds from `decided` on; returns the log's end.
  Place replay_log();
  void erase(db::Connection& c, const Bucket& bucket, const Object& object, Garbage& garbage);
  Removed remove_one(db::Connection& c, const Bucket& bucket, const std::string& key,
                     const std::optional<std::string>& version, const Check& check, Garbage& garbage);
  void abort(db::Connection& c, const Bucket& bucket, std::string_view key, std::string_view upload, Garbage& garbage);
  // A file-backed object as one of the engine's own. Blocks.
  void take_in(const Bucket& bucket, const std::string& key);
  Async<> take_in_if_file(BucketPtr bucket, const std::string& key, bool always);
  void load_content(db::Connection& c, Object& object);

  BucketPtr find_bucket(std::string_view name) const;
  void put_bucket(const std::string& name, BucketPtr bucket);  // null: it is gone
  BucketPtr same_bucket(const Bucket& bucket) const;           // as it is now; throws NoSuchBucket
};

Object object_of_row(db::Rows& rows);
inline constexpr std::string_view kObjectColumns =
    "key, sequence, version, marker, size, etag, modified, content, parts, meta, stamp";
Object object_of_file(std::string key, const FileStamp& stamp, const std::string& owner);
std::vector<Part> read_parts(db::Connection& c, std::string_view list, int after, size_t limit);
// Whether the row says that its content is laid out in this file.
bool is_layout(const Object& row, const FileStamp& stamp);

}  // namespace penstock::objects
