// What goes with runs, and why the rest stays.
#include <doctest/doctest.h>

#include <filesystem>

#include "metadata/metadata.h"
#include "metadata/references.h"

using namespace penstock;
using namespace penstock::metadata;

namespace {

struct References {
  std::filesystem::path folder = std::filesystem::temp_directory_path() / ("penstock-references-" + new_uuid());
  std::unique_ptr<db::Database> database;

  References() {
    std::filesystem::create_directories(folder);
    database = std::make_unique<db::Database>(folder / "a.db", std::vector<db::Migrations>{Store::migrations()});
  }
  ~References() {
    database.reset();
    std::filesystem::remove_all(folder);
  }
  // Made by `run`, which has an output of it.
  int64_t make(const std::string& run, const std::string& uri, int64_t bytes = 10) {
    int64_t id = 0;
    database->write_now([&](db::Connection& c) {
      Artifact artifact;
      artifact.uri = uri;
      artifact.run_id = run;
      id = put_artifact(c, artifact);
      set_artifact_bytes(c, id, bytes, "p");
    });
    use(run, id, Direction::Output);
    return id;
  }
  void use(const std::string& run, int64_t id, Direction direction = Direction::Input) {
    database->write_now([&](db::Connection& c) {
      Link link;
      link.artifact_id = id;
      link.run_id = run;
      link.direction = direction;
      put_link(c, link);
    });
  }
  // Lets the runs go; the ids of what went.
  std::vector<int64_t> drop(std::set<std::string, std::less<>> runs, const OtherHolds& others = {}) {
    std::vector<int64_t> ids;
    database->write_now([&](db::Connection& c) {
      const auto removal = removal_of(c, {runs.begin(), runs.end()}, runs, others);
      metadata::remove(c, runs, removal);
      for (const auto& one : removal.goes) ids.push_back(one.artifact_id);
    });
    return ids;
  }
  int64_t used(std::string_view scope) {
    int64_t bytes = 0;
    database->read_now([&](db::Connection& c) {
      db::Rows rows = c.query("SELECT coalesce(sum(artifact_bytes), 0) FROM used_space WHERE scope = ?", scope);
      rows.next();
      bytes = rows.integer(0);
    });
    return bytes;
  }
};

using Ids = std::vector<int64_t>;

}  // namespace

TEST_CASE_FIXTURE(References, "what two runs share goes with the last of them, in either order") {
  for (const bool maker_first : {true, false}) {
    const auto shared = make("a", maker_first ? "minio://b/x" : "minio://b/y");
    use("b", shared);
    CHECK(drop({maker_first ? "a" : "b"}) == Ids{});
    CHECK(used("namespace") == 10);
    CHECK(drop({maker_first ? "b" : "a"}) == Ids{shared});
    CHECK(used("namespace") == 0);
  }
}

TEST_CASE_FIXTURE(References, "runs that go together take what they share with them") {
  const auto shared = make("a", "minio://b/x"), other = make("a", "minio://b/y");
  use("b", shared);
  use("c", other);
  CHECK(drop({"a", "b"}) == Ids{shared});
  CHECK(drop({"c"}) == Ids{other});
  for (const auto scope : {"run", "pipeline", "namespace"}) CHECK(used(scope) == 0);
}

TEST_CASE_FIXTURE(References, "contents at one place, and above or below it, stay together") {
  const auto whole = make("a", "minio://b/x");
  const auto inside = make("b", "s3://b/x/part");
  const auto beside = make("a", "minio://b/xy");
  CHECK(drop({"a"}) == Ids{beside});
  CHECK(drop({"b"}) == Ids{inside});
  database->write_now([&](db::Connection& c) {
    const auto removal = unneeded_orphans(c, 10, {});
    REQUIRE(removal.goes.size() == 1);
    CHECK(removal.goes[0].artifact_id == whole);
  });
}

TEST_CASE_FIXTURE(References, "a content is held by name, until it is not") {
  const auto held = make("a", "minio://b/model/1"), served = make("a", "minio://b/other");
  database->write_now([&](db::Connection& c) { hold(c, "h", "s3://b/model/", "model 1"); });
  const OtherHolds others{{"minio://b/other", "a service"}};
  database->read_now([&](db::Connection& c) {
    const auto removal = removal_of(c, {"a"}, {"a"}, others);
    REQUIRE(removal.stays.size() == 2);
    CHECK(removal.stays[0].reason == "model 1 refers to it");
    CHECK(removal.stays[1].reason == "a service refers to it");
    CHECK(why_kept(c, "minio://b/model/1/file", {}) == "artifact " + std::to_string(held) + " has the same content");
  });
  CHECK(drop({"a"}, others) == Ids{});
  database->write_now([&](db::Connection& c) {
    CHECK(unneeded_orphans(c, 10, others).goes.empty());
    hold(c, "h", "", "");
    auto removal = unneeded_orphans(c, 10, others);
    REQUIRE(removal.goes.size() == 1);
    CHECK(removal.goes[0].artifact_id == held);
    removal = unneeded_orphans(c, 10, {});
    REQUIRE(removal.goes.size() == 2);
    CHECK(removal.goes[1].artifact_id == served);
  });
}

TEST_CASE("places overlap") {
  CHECK(overlap("minio://b/a", "s3://b/a/"));
  CHECK(overlap("minio://b/a/c", "minio://b/a"));
  CHECK_FALSE(overlap("minio://b/ab", "minio://b/a"));
  CHECK_FALSE(overlap("", "minio://b/a"));
  CHECK_FALSE(overlap("gs://b/a", "minio://b/a"));
}

TEST_CASE_FIXTURE(References, "space is counted once for a content") {
  make("a", "minio://b/x", 100);
  const auto twice = make("b", "minio://b/x", 100);
  CHECK(used("namespace") == 100);
  database->write_now([&](db::Connection& c) { set_artifact_bytes(c, twice, 70, "p"); });
  CHECK(used("run") == 100);
}
