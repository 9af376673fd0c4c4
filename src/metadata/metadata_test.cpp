#include "metadata/lineage.h"

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
  const auto edges = [](const LineageGraph& graph) {
    std::string text;
    for (const LineageEdge& edge : graph.edges) {
      text += fmt::format("{} {} {}\n", edge.from, to_string(edge.kind), edge.to);
    }
    return text;
  };
  const std::string given = fmt::format("artifact:{} INPUT task:r/train\n", data);
  const std::string trained = fmt::format("task:r/train OUTPUT artifact:{}\n", model);
  const std::string taken = fmt::format("artifact:{} INPUT task:r/test\n", model);
  const std::string reported = fmt::format("task:r/test OUTPUT artifact:{}\n", report);
  LineageGraph lineage = wait(store.lineage({.artifact_ids = {model}, .downstream = false}));
  CHECK(edges(lineage) == given + trained);
  CHECK(!lineage.truncated);
  CHECK(edges(wait(store.lineage({.artifact_ids = {model}, .upstream = false}))) == taken + reported);
  CHECK(edges(wait(store.lineage({.artifact_ids = {report}}))) == given + taken + reported + trained);
  CHECK(edges(wait(store.lineage({.run_id = "r"}))) == given + taken + reported + trained);
  CHECK(edges(wait(store.lineage({.tasks = {{"r", "test"}}, .upstream = false}))) == reported);
  lineage = wait(store.lineage({.artifact_ids = {report}, .depth = 1}));
  CHECK(edges(lineage) == taken + reported);
  CHECK(lineage.truncated);
  lineage = wait(store.lineage({.artifact_ids = {report}, .max_nodes = 4}));
  CHECK(lineage.nodes.size() == 4);
  CHECK(lineage.truncated);
  CHECK(!wait(store.lineage({.artifact_ids = {report}, .depth = 2})).truncated);
  CHECK_THROWS_AS(wait(store.lineage({.artifact_ids = {99}})), Error);
  CHECK(wait(store.links_of_run("r")).size() == 4);
  CHECK(wait(store.list_links({.task_ids = {"test"}, .type = "COMPONENT_INPUT"}, {})).items.size() == 1);
  CHECK(wait(store.list_links({.artifact_ids = {data, report}}, {})).total_size == 2);
  const Store::Page page = wait(store.list({.page_size = 2, .sort_by = "name"}));
  REQUIRE(page.items.size() == 2);
  CHECK(page.total_size == 3);
  CHECK(wait(store.list({.page_token = page.next_page_token})).items.at(0).name == "report");
}

TEST_CASE_FIXTURE(Fixture, "lineage goes across runs, by artifacts that are given again and by their places") {
  const int64_t data = put({.name = "data", .uri = "minio://b/d", .run_id = "r", .task_id = "make"});
  link(data, "make", Direction::Output);
  link(data, "cached", Direction::Output);  // in the same run or another one
  link(data, "use", Direction::Input);
  const int64_t again = put({.name = "artifact", .uri = "minio://b/d"});  // an importer's, which has no task of its own
  link(again, "import", Direction::Output);
  link(again, "late", Direction::Input);
  const int64_t model = put({.name = "model", .uri = "minio://b/m", .run_id = "r", .task_id = "late"});
  link(model, "late", Direction::Output);
  const auto has = [](const LineageGraph& graph, std::string from, EdgeKind kind, std::string to) {
    return std::ranges::any_of(graph.edges,
                               [&](const LineageEdge& e) { return e.from == from && e.kind == kind && e.to == to; });
  };
  const LineageGraph down = wait(store.lineage({.artifact_ids = {data}, .upstream = false}));
  CHECK(has(down, "task:r/cached", EdgeKind::Reused, node_name(data)));
  CHECK(has(down, node_name(data), EdgeKind::SameUri, node_name(again)));
  CHECK(has(down, node_name(again), EdgeKind::Input, "task:r/late"));
  CHECK(has(down, "task:r/late", EdgeKind::Output, node_name(model)));
  const LineageGraph up = wait(store.lineage({.artifact_ids = {model}, .downstream = false}));
  CHECK(has(up, "task:r/import", EdgeKind::Output, node_name(again)));
  CHECK(has(up, node_name(data), EdgeKind::SameUri, node_name(again)));
  CHECK(has(up, "task:r/make", EdgeKind::Output, node_name(data)));
  CHECK(!has(up, "task:r/cached", EdgeKind::Reused, node_name(data)));
  const LineageGraph cached = wait(store.lineage({.tasks = {{"r", "cached"}}, .downstream = false}));
  CHECK(has(cached, "task:r/cached", EdgeKind::Reused, node_name(data)));
  CHECK(has(cached, "task:r/make", EdgeKind::Output, node_name(data)));
}

TEST_CASE_FIXTURE(Fixture, "another part adds its nodes to the lineage") {
  struct Models : LineageExtension {
    void extend(db::Connection&, size_t room, LineageGraph& graph) const override {
      for (const auto& [id, artifact] : graph.artifacts) {
        if (artifact.name != "model" || room == 0) continue;
        graph.others.push_back({"model-version:1", "model_version", {{"name", "m"}}});
        graph.edges.insert({node_name(id), "model-version:1", EdgeKind::Other, "registered"});
      }
    }
  };
  const Models models;
  store.extend_lineage(models);
  const int64_t model = put({.name = "model"});
  const LineageGraph graph = wait(store.lineage({.artifact_ids = {model}}));
  CHECK(graph.others.size() == 1);
  CHECK(graph.edges.size() == 1);
  CHECK(wait(store.lineage({.artifact_ids = {model}, .max_nodes = 1})).others.empty());
}

TEST_CASE_FIXTURE(Fixture, "types come with the first artifact of theirs, and keep their first schema") {
  CHECK(wait(store.get_type("system.Model")).properties.at("framework") == "STRING");
  const std::string schema = "title: acme.Table\ntype: object\nproperties:\n  rows: {type: integer}\n  any: {}\n";
  put({.name = "t", .type = "acme.Table", .type_version = "1"});
  CHECK(wait(store.get_type("acme.Table")).properties.empty());
  put({.name = "t", .type = "acme.Table", .type_version = "1", .instance_schema = schema});
  put({.name = "t", .type = "acme.Table", .type_version = "1", .instance_schema = "title: other"});
  put({.name = "t", .type = "acme.Table", .type_version = "2", .instance_schema = ": no schema : ["});
  const ArtifactType type = wait(store.type_of("acme.Table", "1"));
  CHECK(type.instance_schema == schema);
  CHECK(type.properties == std::map<std::string, std::string>{{"rows", "INT"}, {"any", "STRUCT"}});
  CHECK(wait(store.get_type(std::to_string(type.type_id))).schema_title == "acme.Table");
  CHECK(wait(store.get_type("acme.Table")).schema_version == "2");
  CHECK(wait(store.type_of("none", "")).type_id == 0);
  CHECK_THROWS_AS(wait(store.get_type("none")), Error);
  CHECK(wait(store.list_types({})).total_size == 10);
  CHECK(title_of_schema(schema) == "acme.Table");
  CHECK(title_of_schema("[") == "system.Artifact");
}
