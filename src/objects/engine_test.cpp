#include "objects/engine.h"

#include <fstream>

#include <boost/asio/use_future.hpp>
#include <doctest/doctest.h>

#include "objects/s3/lifecycle.h"
#include "objects/store.h"
#include "objects/upload.h"

namespace penstock::objects {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kSegment = 1 << 20;

struct Fixture {
  fs::path root = fs::temp_directory_path() / ("engine-" + new_uuid());
  FakeClock clock{from_micros(1'700'000'000'000'000)};
  Loop loop{"engine-test"};
  std::unique_ptr<Engine> engine;
  Fixture() { start(); }
  ~Fixture() {
    engine.reset();
    fs::remove_all(root);
  }
  void start() {
    engine.reset();
    engine = std::make_unique<Engine>(Engine::Options{root / "s3", root / "objects", "me", false, kSegment}, clock);
    if (!engine->find_bucket("b")) make_bucket("b");
  }
  void make_bucket(const std::string& name, Versioning versioning = Versioning::Off) {
    Bucket bucket;
    bucket.name = name;
    bucket.owner = "me";
    bucket.versioning = versioning;
    engine->create_bucket_now(bucket);
  }
  template <class Make>
  auto run(Make make) {
    return asio::co_spawn(loop.executor(), on(loop.executor(), std::move(make)), asio::use_future).get();
  }
  Written put(const std::string& key, const std::string& data, Check check = {}, const std::string& bucket = "b") {
    return run([&]() -> Async<Written> {
      Upload upload(*engine, {});
      for (size_t at = 0; at < data.size(); at += 100'000)
        co_await upload.write(std::string_view(data).substr(at, 100'000));
      Staged staged = co_await upload.finish();
      NewObject object;
      object.key = key;
      object.etag = hex(staged.md5);
      object.check = check;
      co_return co_await engine->put(engine->bucket(bucket), std::move(object), std::move(staged));
    });
  }
  std::string read(const Object& object) {
    std::string out;
    auto add = [&](const Content& content) {
      if (content.id == 0) return;
      if (engine->in_log(content)) {
        out += engine->read_small(content);
        return;
      }
      engine->verify(content);
      const Descriptor file = engine->open_content(content);
      std::string bytes(content.size, '\0');
      CHECK(::read(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
      out += bytes;
    };
    if (object.parts.empty()) {
      add(object.content);
    } else {
      for (const Part& part : run([&] { return engine->parts_of(object); })) add(part.content);
    }
    return out;
  }
  std::optional<Object> find(const std::string& key, std::optional<std::string> version = {},
                             const std::string& bucket = "b") {
    return run([&] { return engine->find(engine->bucket(bucket), key, version); });
  }
  Removed remove(const std::string& key, std::optional<std::string> version = {}, const std::string& bucket = "b") {
    return run([&] { return engine->remove(engine->bucket(bucket), key, version); });
  }
  std::vector<std::string> list(ListQuery query, const std::string& bucket = "b") {
    std::vector<std::string> out;
    const ListPage page = engine->list_now(*engine->bucket(bucket), query);
    for (const auto& object : page.objects) out.push_back(object.key);
    for (const auto& prefix : page.prefixes) out.push_back(prefix);
    if (page.truncated) out.push_back("…" + page.next);
    return out;
  }
  void write_file(const std::string& path, const std::string& data) {
    fs::create_directories((root / "objects" / path).parent_path());
    std::ofstream(root / "objects" / path) << data;
  }
  std::string read_file(const std::string& path) {
    std::ifstream file(root / "objects" / path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  size_t blobs() {
    size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(root / "s3/blobs")) count += entry.is_regular_file();
    return count;
  }
};

const std::string kLarge(300'000, 'L');
using Keys = std::vector<std::string>;

}  // namespace

TEST_CASE_FIXTURE(Fixture, "small and large objects, also after a restart") {
  put("small", "hello");
  put("large", kLarge);
  put("empty", "");
  for (int round = 0; round < 2; ++round) {
    CAPTURE(round);
    CHECK(read(find("small").value()) == "hello");
    CHECK(read(find("large").value()) == kLarge);
    CHECK(read(find("empty").value()).empty());
    CHECK(find("large")->etag == hex(digest_of(Algorithm::Md5, kLarge)));
    CHECK_FALSE(find("other"));
    start();
  }
}

TEST_CASE_FIXTURE(Fixture, "equal contents are kept once and go with their last object") {
  put("a", kLarge);
  put("b", kLarge);
  CHECK(engine->usage().contents == 1);
  CHECK(blobs() == 1);
  remove("a");
  CHECK(read(find("b").value()) == kLarge);
  remove("b");
  CHECK(engine->usage().contents == 0);
  start();
  CHECK(blobs() == 0);
}

TEST_CASE_FIXTURE(Fixture, "what a crash leaves behind is removed at the start") {
  put("a", kLarge);
  std::ofstream(root / "s3/tmp/0000000000000001") << "half";
  std::ofstream(root / "s3/blobs/01/0000000000000001") << "nobody's";
  const auto log = root / "s3/log/0000000000000001.log";
  put("s", "small");
  const auto size = fs::file_size(log);
  start();
  std::ofstream(log, std::ios::app) << "torn";
  start();
  CHECK(fs::file_size(log) == size);
  CHECK(fs::is_empty(root / "s3/tmp"));
  CHECK(blobs() == 1);
  put("t", "more");
  CHECK(read(find("s").value()) == "small");
  CHECK(read(find("t").value()) == "more");
}

// As after a loss of power, which takes from the database what was not synced.
struct PowerLossFixture : Fixture {
  void remember() {
    engine.reset();
    fs::copy_file(root / "s3/meta.db", root / "meta.db", fs::copy_options::overwrite_existing);
    start();
  }
  void lose() {
    engine.reset();
    fs::copy_file(root / "meta.db", root / "s3/meta.db", fs::copy_options::overwrite_existing);
    fs::remove(root / "s3/meta.db-wal");
  }
  fs::path newest_segment() {
    fs::path newest;
    for (const auto& entry : fs::directory_iterator(root / "s3/log")) newest = std::max(newest, entry.path());
    return newest;
  }
};

TEST_CASE_FIXTURE(PowerLossFixture, "puts that the database has lost are done again from the log") {
  make_bucket("v", Versioning::Enabled);
  put("kept", "before");
  put("over", "old");
  put("over large", kLarge + "old");
  remember();
  put("over", "new");
  put("over large", kLarge + "new");
  put("empty", "");
  put("twice", kLarge);
  put("equal", kLarge);
  put("twice", "small at last");
  const auto first = put("k", "one", {}, "v"), second = put("k", "two", {}, "v");
  const auto before = engine->usage();
  const auto etag = find("over large")->etag;
  clock.advance(std::chrono::hours(1));
  for (int round = 0; round < 3; ++round) {
    CAPTURE(round);
    // At first all at once, then after it was lost again, then as it is.
    if (round < 2) lose();
    start();
    CHECK(read(find("kept").value()) == "before");
    CHECK(read(find("over").value()) == "new");
    CHECK(read(find("over large").value()) == kLarge + "new");
    CHECK(find("over large")->etag == etag);
    CHECK(find("empty")->size == 0);
    CHECK(read(find("twice").value()) == "small at last");
    CHECK(read(find("equal").value()) == kLarge);
    CHECK(read(find("k", first.version, "v").value()) == "one");
    CHECK(read(find("k", second.version, "v").value()) == "two");
    CHECK(find("k", {}, "v")->version == second.version);
    CHECK(find("k", {}, "v")->modified == second.modified);
    CHECK(engine->usage().objects == before.objects);
    CHECK(engine->usage().contents == before.contents);
    CHECK(blobs() == 2);
    CHECK(engine->scrub(false) == 0);
  }
}

TEST_CASE_FIXTURE(PowerLossFixture, "a put whose record is torn has not been, and the log goes on before it") {
  put("a", "old");
  remember();
  put("b", "whole");
  put("a", "new and torn");
  lose();
  const auto log = newest_segment();
  fs::resize_file(log, fs::file_size(log) - 1);
  start();
  CHECK(read(find("a").value()) == "old");
  CHECK(read(find("b").value()) == "whole");
  put("a", "newer");
  lose();
  start();
  CHECK(read(find("a").value()) == "newer");
  CHECK(read(find("b").value()) == "whole");
}

TEST_CASE_FIXTURE(PowerLossFixture, "what was synced into the database is not done again") {
  put("a", "one");
  put("b", "two");
  remove("a");
  remember();
  lose();
  start();
  CHECK_FALSE(find("a"));
  CHECK(read(find("b").value()) == "two");
  // A bucket that went takes its puts along, also from the log.
  make_bucket("gone");
  put("x", "x", {}, "gone");
  remember();
  put("y", "y", {}, "gone");
  remove("x", {}, "gone");
  remove("y", {}, "gone");
  run([&] { return engine->delete_bucket("gone"); });
  engine.reset();
  start();
  CHECK_FALSE(engine->find_bucket("gone"));
}

TEST_CASE_FIXTURE(Fixture, "compaction drops operations that are done and keeps what lives") {
  const std::string piece(100'000, 'x');
  for (int i = 0; i < 30; ++i) put("k", fmt::format("{}{}", i, piece));
  put("last", "x");
  for (int i = 0; i < 30; ++i) put("k", fmt::format("{}{}", 100 + i, piece));
  engine->compact();
  CHECK(engine->usage().log_bytes < 3 * kSegment);
  CHECK(read(find("k").value()) == fmt::format("129{}", piece));
  engine.reset();
  start();
  CHECK(read(find("k").value()) == fmt::format("129{}", piece));
  CHECK(read(find("last").value()) == "x");
}

TEST_CASE_FIXTURE(Fixture, "damage is found") {
  put("s", "small");
  put("l", kLarge);
  CHECK(engine->scrub(false) == 0);
  std::fstream log(root / "s3/log/0000000000000001.log", std::ios::in | std::ios::out);
  log.seekp(SegmentLog::kHeader + 2);
  log << "X";
  log.close();
  CHECK_THROWS_AS(read(find("s").value()), Error);
  for (const auto& entry : fs::recursive_directory_iterator(root / "s3/blobs")) {
    if (entry.is_regular_file()) std::fstream(entry.path(), std::ios::in | std::ios::out) << "X";
  }
  CHECK(engine->scrub(false) == 2);
  // The same bytes, put again, do not end up as the damaged ones.
  put("again", kLarge);
  CHECK(read(find("again").value()) == kLarge);
}

TEST_CASE_FIXTURE(Fixture, "compaction takes dead space back and keeps what lives") {
  const std::string piece(100'000, 'x');
  const auto key = [](int i) { return fmt::format("k{:02}", i); };
  for (int i = 0; i < 40; ++i) put(key(i), fmt::format("{}{}", i, piece));
  REQUIRE(engine->usage().log_bytes > 3 * kSegment);
  for (int i = 0; i < 40; ++i) {
    if (i % 10 != 0) remove(key(i));
  }
  engine->compact();
  CHECK(engine->usage().log_bytes < 2 * kSegment);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 40; i += 10) CHECK(read(find(key(i)).value()) == fmt::format("{}{}", i, piece));
    start();
  }
}

TEST_CASE_FIXTURE(Fixture, "many writers at once: each gets its own, the last one of a key stays") {
  run([&]() -> Async<> {
    Scope scope(co_await asio::this_coro::executor, "writers");
    int left = 100;
    Signal done(co_await asio::this_coro::executor);
    for (int i = 0; i < 100; ++i) {
      scope.spawn([&, i]() -> Async<> {
        Upload upload(*engine, {});
        const std::string data = fmt::format("content {}", i);
        co_await upload.write(data);
        Staged staged = co_await upload.finish();
        NewObject object;
        object.key = i % 2 == 0 ? "shared" : fmt::format("own{}", i);
        object.etag = hex(staged.md5);
        co_await engine->put(engine->bucket("b"), std::move(object), std::move(staged));
        if (--left == 0) done.set();
      });
    }
    co_await done.wait();
    co_await scope.stop();
  });
  for (int i = 1; i < 100; i += 2) CHECK(read(find(fmt::format("own{}", i)).value()) == fmt::format("content {}", i));
  CHECK(engine->usage().objects == 51);
  CHECK(engine->usage().contents == 51);
}

TEST_CASE_FIXTURE(Fixture, "rules of expiry are carried out by the clock") {
  engine->set_expirer(run_lifecycle);
  put("tmp/a", "x");
  put("kept", "x");
  const auto rules = read_lifecycle(
      "<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter><Prefix>tmp/</Prefix></Filter><Expiration><Days>1"
      "</Days></Expiration></Rule></LifecycleConfiguration>");
  run([&] { return engine->change_bucket("b", [&](Bucket& b) { b.config["lifecycle"] = rules; }); });
  engine->expire(clock.now());
  CHECK(list({}) == Keys{"kept", "tmp/a"});
  clock.advance(std::chrono::hours(49));
  engine->expire(clock.now());
  CHECK(list({}) == Keys{"kept"});
}

TEST_CASE_FIXTURE(Fixture, "a check that throws changes nothing") {
  put("a", "one");
  const Check refuse = [](const Object* current) {
    if (current != nullptr) throw S3Error("PreconditionFailed");
  };
  CHECK_THROWS_AS(put("a", "two", refuse), S3Error);
  CHECK(read(find("a").value()) == "one");
  put("new", "three", refuse);
  CHECK(read(find("new").value()) == "three");
}

TEST_CASE_FIXTURE(Fixture, "versions, markers, and the null version") {
  make_bucket("v", Versioning::Enabled);
  const auto first = put("k", "one", {}, "v").version, second = put("k", "two", {}, "v").version;
  CHECK(first != second);
  CHECK(read(find("k", {}, "v").value()) == "two");
  CHECK(read(find("k", first, "v").value()) == "one");
  const Removed marker = remove("k", {}, "v");
  CHECK(marker.marker);
  CHECK(find("k", {}, "v")->marker);
  CHECK(list({}, "v").empty());
  CHECK(remove("k", marker.version, "v").marker);
  CHECK(read(find("k", {}, "v").value()) == "two");
  run([&] { return engine->change_bucket("v", [](Bucket& b) { b.versioning = Versioning::Suspended; }); });
  CHECK(put("k", "null one", {}, "v").version.empty());
  CHECK(put("k", "null two", {}, "v").version.empty());
  CHECK(find("k", {}, "v")->version == "null");
  const ListPage page = run([&] { return engine->list_versions(engine->bucket("v"), {}); });
  REQUIRE(page.objects.size() == 3);
  CHECK(page.objects[0].version == "null");
  CHECK(page.objects[1].version == second);
  CHECK(page.objects[2].version == first);
  CHECK(page.objects[0].latest);
  CHECK_FALSE(page.objects[1].latest);
  CHECK(remove("k", {}, "v").version == "null");
  CHECK(find("k", {}, "v")->marker);
  CHECK_FALSE(remove("never", "nothing", "v").marker);
}

TEST_CASE_FIXTURE(Fixture, "listing by prefix, delimiter and pages") {
  for (const char* key : {"a", "a/", "a/b/c", "a/b/d", "ab", "b/x", "c"}) put(key, "x");
  write_file("b/a/b/e", "file");
  write_file("b/task/out/model", "file");
  CHECK(list({}) == Keys{"a", "a/", "a/b/c", "a/b/d", "a/b/e", "ab", "b/x", "c", "task/out/model"});
  CHECK(list({.prefix = "a/"}) == Keys{"a/", "a/b/c", "a/b/d", "a/b/e"});
  CHECK(list({.delimiter = "/"}) == Keys{"a", "ab", "c", "a/", "b/", "task/"});
  CHECK(list({.prefix = "a/", .delimiter = "/"}) == Keys{"a/", "a/b/"});
  CHECK(list({.prefix = "a/", .delimiter = "/", .after = "a/b/"}).empty());
  CHECK(list({.delimiter = "b"}) == Keys{"a", "a/", "c", "task/out/model", "a/b", "ab", "b"});
  ListQuery query{.delimiter = "/", .limit = 1};
  Keys all;
  for (int i = 0; i < 20; ++i) {
    const ListPage page = engine->list_now(*engine->bucket("b"), query);
    REQUIRE(page.objects.size() + page.prefixes.size() == 1);
    all.push_back(page.objects.empty() ? page.prefixes[0] : page.objects[0].key);
    if (!page.truncated) break;
    query.after = page.next;
  }
  CHECK(all == Keys{"a", "a/", "ab", "b/", "c", "task/"});
}

TEST_CASE_FIXTURE(Fixture, "what tasks write as files is there, and the other way round") {
  write_file("b/out/model", "of a task");
  const Object object = find("out/model").value();
  CHECK(object.file);
  CHECK(object.size == 9);
  CHECK(find("out/model")->etag == object.etag);
  put("out/model", "of a client");
  CHECK_FALSE(fs::exists(root / "objects/b/out/model"));
  CHECK(read(find("out/model").value()) == "of a client");
  REQUIRE(engine->materialise("b", "out/model"));
  CHECK(read_file("b/out/model") == "of a client");
  CHECK_FALSE(find("out/model")->file);
  CHECK(list({}) == Keys{"out/model"});
  write_file("b/out/model", "of a task again");
  CHECK(find("out/model")->file);
  CHECK(remove("out/model").version.empty());
  CHECK_FALSE(find("out/model"));
  CHECK_FALSE(fs::exists(root / "objects/b/out"));
}

TEST_CASE_FIXTURE(Fixture, "a task's file becomes a version in a versioned bucket") {
  make_bucket("v", Versioning::Enabled);
  write_file("v/k", "of a task");
  put("k", "of a client", {}, "v");
  CHECK(read(find("k", {}, "v").value()) == "of a client");
  CHECK(read(find("k", "null", "v").value()) == "of a task");
  CHECK_FALSE(fs::exists(root / "objects/v/k"));
}

TEST_CASE_FIXTURE(Fixture, "links that tasks make lead nowhere") {
  fs::create_directories(root / "objects/b/folder");
  std::ofstream(root / "secret") << "s";
  fs::create_symlink(root / "secret", root / "objects/b/folder/link");
  fs::create_directory_symlink(root, root / "objects/b/out");
  CHECK_FALSE(find("folder/link"));
  CHECK_FALSE(find("out/secret"));
  CHECK(list({}).empty());
  remove("out/secret");
  CHECK(fs::exists(root / "secret"));
}

TEST_CASE_FIXTURE(Fixture, "an upload in parts") {
  const std::string part(5 << 20, 'p');
  const BucketPtr bucket = engine->bucket("b");
  const auto id = run([&] { return engine->create_upload(bucket, "big", {}); });
  auto put_part = [&](int number, const std::string& data) {
    return run([&]() -> Async<Part> {
      Upload upload(*engine, {});
      co_await upload.write(data);
      Staged staged = co_await upload.finish();
      Part made;
      made.number = number;
      made.etag = hex(staged.md5);
      co_return co_await engine->put_part(bucket, "big", id, std::move(made), std::move(staged));
    });
  };
  const auto make = [](const UploadInfo& info, const std::vector<Part>&) {
    NewObject object;
    object.key = info.key;
    object.etag = "x-2";
    return object;
  };
  auto complete = [&](std::vector<CompletedPart> parts) {
    return run([&] { return engine->complete(bucket, id, parts, make); });
  };
  const Part first = put_part(1, part), second = put_part(2, "end"), extra = put_part(7, "dropped");
  CHECK(run([&] { return engine->upload_parts(id, 0, 10); }).size() == 3);
  CHECK_THROWS_AS(complete({{2, second.etag, {}}, {1, first.etag, {}}}), S3Error);
  CHECK_THROWS_AS(complete({{1, second.etag, {}}}), S3Error);
  CHECK_THROWS_AS(complete({{2, second.etag, {}}, {7, extra.etag, {}}}), S3Error);
  complete({{1, first.etag, {}}, {2, second.etag, {}}});
  CHECK_THROWS_AS(complete({{1, first.etag, {}}}), S3Error);
  start();
  CHECK(read(find("big").value()) == part + "end");
  remove("big");
  CHECK(engine->usage().contents == 0);
}

TEST_CASE_FIXTURE(Fixture, "the store shows both to the rest of the program") {
  Store store(root / "objects", engine.get());
  put("dir/a", "of a client");
  write_file("b/dir/b", "of a task");
  CHECK(store.get("b", "dir/a") == "of a client");
  CHECK(store.list("b", "dir/").size() == 2);
  store.lay_out("minio://b/dir");
  CHECK(read_file("b/dir/a") == "of a client");
  CHECK(store.remove("b", "dir/a"));
  CHECK_FALSE(store.remove("b", "dir/a"));
  store.put("b", "dir/c", "written here");
  CHECK(find("dir/c")->size == 12);
}

}  // namespace penstock::objects
