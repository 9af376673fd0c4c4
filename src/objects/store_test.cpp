#include "objects/store.h"

#include <doctest/doctest.h>

#include <unistd.h>

#include <fstream>

#include "base/clock.h"
#include "base/error.h"

namespace penstock::objects {

namespace fs = std::filesystem;

namespace {

struct Fixture {
  fs::path root = fs::temp_directory_path() / ("objects-" + new_uuid());
  Store store{root};
  ~Fixture() { fs::remove_all(root); }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "objects are files of their bucket's folder") {
  store.put("mlpipeline", "v2/artifacts/x", "hello");
  CHECK(store.get("mlpipeline", "v2/artifacts/x") == "hello");
  CHECK(store.get("mlpipeline", "v2/artifacts/x", 2) == "he");
  CHECK(fs::is_regular_file(root / "mlpipeline/v2/artifacts/x"));
  store.put("mlpipeline", "v2/artifacts/x", "again");
  CHECK(store.get("mlpipeline", "v2/artifacts/x") == "again");
  store.put("mlpipeline", "v2/b", "");
  const auto all = store.list("mlpipeline", "v2/");
  REQUIRE(all.size() == 2);
  CHECK(all[0].key == "v2/artifacts/x");
  CHECK(all[0].size == 5);
  CHECK(store.list("mlpipeline", "v2/a").size() == 1);
  CHECK(store.list("mlpipeline", "nothing/here").empty());
  CHECK(store.remove("mlpipeline", "v2/artifacts/x"));
  CHECK_FALSE(store.remove("mlpipeline", "v2/artifacts/x"));
  CHECK_FALSE(fs::exists(root / "mlpipeline/v2/artifacts"));
  CHECK_THROWS_AS(store.get("mlpipeline", "v2/artifacts/x"), Error);
}

TEST_CASE_FIXTURE(Fixture, "no key leads out of its bucket") {
  for (const char* key : {"..", "../x", "a/../../x", "a//b", "/etc/passwd", "./x", "a/."}) {
    CAPTURE(key);
    CHECK_THROWS_AS(store.path_of("mlpipeline", key), Error);
  }
  for (const char* bucket : {"", "..", ".hidden", "a/b"}) {
    CAPTURE(bucket);
    CHECK_THROWS_AS(store.path_of(bucket, "x"), Error);
  }
  CHECK_THROWS_AS(store.put("other", "x", "y"), Error);
  CHECK_THROWS_AS(store.put("mlpipeline", "", "y"), Error);
}

TEST_CASE_FIXTURE(Fixture, "links to elsewhere are neither read nor listed") {
  std::ofstream(root / "secret") << "s";
  fs::create_directory(root / "elsewhere");
  std::ofstream(root / "elsewhere/file") << "s";
  fs::create_directory_symlink(root / "elsewhere", root / "mlpipeline/folder");
  CHECK_THROWS_AS(store.get("mlpipeline", "folder/file"), Error);
  CHECK(store.list("mlpipeline", "folder/").empty());
  CHECK_FALSE(store.find("mlpipeline", "folder/file"));
  fs::create_symlink(root / "secret", root / "mlpipeline/link");
  CHECK_THROWS_AS(store.get("mlpipeline", "link"), Error);
  CHECK(store.list("mlpipeline", "").empty());
}

TEST_CASE_FIXTURE(Fixture, "URIs and paths") {
  CHECK(store.uri_to_path("minio://mlpipeline/a/b") == root / "mlpipeline/a/b");
  CHECK(store.uri_to_path("s3://mlpipeline/a") == root / "mlpipeline/a");
  CHECK_FALSE(store.uri_to_path("s3://elsewhere/a"));
  CHECK_FALSE(store.uri_to_path("gs://bucket/a"));
  CHECK_FALSE(store.uri_to_path("/tmp/x"));
  CHECK(store.path_to_uri(root / "mlpipeline/a/b") == "minio://mlpipeline/a/b");
  CHECK_FALSE(store.path_to_uri("/etc/passwd"));
}

}  // namespace penstock::objects
