#include "objects/reader.h"

#include <filesystem>

#include <doctest/doctest.h>

#include "base/clock.h"
#include "base/error.h"
#include "objects/store.h"

using namespace penstock;
using namespace penstock::objects;

namespace {

struct Fixture {
  std::filesystem::path folder = std::filesystem::temp_directory_path() / ("penstock-reader-" + new_uuid());
  Store store{folder};
  ~Fixture() { std::filesystem::remove_all(folder); }
  void put(std::string_view key, std::string_view content) { store.put(kDefaultBucket, key, content); }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "pieces of an object") {
  put("a/b", "0123456789");
  const auto reader = store.open(kDefaultBucket, "a/b");
  REQUIRE(reader != nullptr);
  CHECK(reader->size() == 10);
  CHECK(reader->read(3, 4) == "3456");
  CHECK(reader->read(8, 100) == "89");
  CHECK(reader->read(10, 1).empty());
  CHECK(reader->read(UINT64_MAX, 1).empty());
  CHECK(reader->file() >= 0);
  for (const char* key : {"a", "a/", "a/b/", "a/c", ""}) CHECK(store.open(kDefaultBucket, key) == nullptr);
  CHECK(store.open("none", "a/b") == nullptr);
  CHECK_THROWS_AS(store.open(kDefaultBucket, "../x"), Error);
  std::filesystem::create_symlink("/etc/passwd", folder / "mlpipeline/a/link");
  CHECK(store.open(kDefaultBucket, "a/link") == nullptr);
}

TEST_CASE_FIXTURE(Fixture, "what lies in a folder, page by page") {
  for (const char* key : {"f/b", "f/a/1", "f/a/2", "f/c", "f/a-b", "g"}) put(key, "xyz");
  std::filesystem::create_symlink("/etc", folder / "mlpipeline/f/link");
  std::string after, names;
  int pages = 0;
  do {
    const FolderPage page = store.list_folder(kDefaultBucket, "f", after, 2);
    for (const FolderEntry& entry : page.entries) {
      names += entry.name + (entry.folder ? "/ " : fmt::format(":{} ", entry.size));
    }
    after = page.next;
    ++pages;
  } while (!after.empty());
  CHECK(names == "a-b:3 a/ b:3 c:3 ");
  CHECK(pages == 2);
  CHECK(store.list_folder(kDefaultBucket, "", "", 10).entries.size() == 2);
  CHECK(store.list_folder(kDefaultBucket, "none", "", 10).entries.empty());
  CHECK(store.list(kDefaultBucket, "f/", 10, "f/a/2").size() == 2);
  CHECK_THROWS_AS(store.list_folder(kDefaultBucket, "f/..", "", 10), Error);
}
