#include "metadata/metadata.h"

#include <filesystem>

#include <boost/asio/use_future.hpp>
#include <doctest/doctest.h>

using namespace penstock;
using namespace penstock::metadata;

namespace {

struct Fixture {
  std::filesystem::path folder = std::filesystem::temp_directory_path() / ("penstock-metadata-" + new_uuid());
  bool made = std::filesystem::create_directories(folder);
  db::Database database{folder / "test.db", {Store::migrations()}};
  Store store{database};
  Loop loop{"metadata-test"};
  ~Fixture() {
    loop.stop();
    std::filesystem::remove_all(folder);
  }

  template <class T>
  T wait(Async<T> work) {
    return asio::co_spawn(loop.executor(), std::move(work), asio::use_future).get();
  }
  int64_t put(Artifact artifact) {
    int64_t id = 0;
    database.write_now([&](db::Connection& c) { id = put_artifact(c, artifact); });
    return id;
  }
  void link(int64_t artifact, std::string task, Direction direction) {
    database.write_now([&](db::Connection& c) { put_link(c, {0, artifact, "r", task, direction, "key", -1}); });
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "artifacts are kept once by their uuid") {
  Artifact artifact;
  artifact.artifact_id = store.next_artifact_id();
  artifact.uuid = "u";
  artifact.name = "model";
  artifact.type = "system.Model";
  artifact.type_version = "0.0.1";
  artifact.uri = "minio://mlpipeline/m";
  artifact.metadata = {{"accuracy", 0.5}};
  artifact.run_id = "r";
  artifact.created_at = from_micros(5);
  const int64_t id = put(artifact);
  CHECK(id == artifact.artifact_id);
  artifact.artifact_id = 0;
  artifact.metadata = {{"accuracy", 0.75}};
  CHECK(put(artifact) == id);
  const Artifact read = wait(store.get(id));
  CHECK(read.metadata.at("accuracy") == 0.75);
  CHECK(read.type_version == "0.0.1");
  CHECK(read.created_at == from_micros(5));
  CHECK(wait(store.of_run("r")).size() == 1);
  CHECK(wait(store.get_all({id, 99})).size() == 1);
  CHECK_THROWS_AS(wait(store.get(99)), Error);
  CHECK(Store(database).next_artifact_id() == id + 1);
}

TEST_CASE_FIXTURE(Fixture, "lineage: what an artifact was made from, and into") {
  const int64_t data = put({.uuid = "d", .name = "data"});
  const int64_t model = put({.uuid = "m", .name = "model"});
  const int64_t report = put({.uuid = "p", .name = "report"});
  link(data, "train", Direction::Input);
  link(model, "train", Direction::Output);
  link(model, "train", Direction::Output);
  link(model, "test", Direction::Input);
  link(report, "test", Direction::Output);
  const Store::Lineage lineage = wait(store.lineage(model));
  REQUIRE(lineage.made_from.size() == 1);
  CHECK(lineage.made_from[0].name == "data");
  REQUIRE(lineage.made_into.size() == 1);
  CHECK(lineage.made_into[0].name == "report");
  CHECK(lineage.links.size() == 2);
  CHECK(wait(store.links_of_run("r")).size() == 4);
  CHECK(wait(store.list_links({.task_ids = {"test"}, .type = "COMPONENT_INPUT"}, {})).items.size() == 1);
  CHECK(wait(store.list_links({.artifact_ids = {data, report}}, {})).total_size == 2);
  const Store::Page page = wait(store.list({.page_size = 2, .sort_by = "name"}));
  REQUIRE(page.items.size() == 2);
  CHECK(page.total_size == 3);
  CHECK(wait(store.list({.page_token = page.next_page_token})).items.at(0).name == "report");
}
