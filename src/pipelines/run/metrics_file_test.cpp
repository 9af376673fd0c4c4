#include "pipelines/run/metrics_file.h"

#include <filesystem>

#include <doctest/doctest.h>

#include "base/error.h"

using namespace penstock;
using namespace penstock::pipelines;

TEST_CASE("a file of metrics") {
  std::vector<std::string> problems;
  const auto metrics = parse_metrics(
      R"({"metrics":[{"name":"accuracy","numberValue":0.5,"format":"PERCENTAGE"},{"name":"loss","numberValue":2}]})",
      "node-1", problems);
  CHECK(problems.empty());
  REQUIRE(metrics.size() == 2);
  CHECK(metrics[0].name == "accuracy");
  CHECK(metrics[0].node_id == "node-1");
  CHECK(metrics[0].number_value == 0.5);
  CHECK(metrics[0].format == MetricFormat::Percentage);
  CHECK(metrics[1].format == MetricFormat::Unspecified);
  for (const char* wrong : {"", "[]", "{}", R"({"metrics":3})"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(parse_metrics(wrong, "n", problems), Error);
  }
}

TEST_CASE("of a file of metrics the good ones are kept") {
  std::vector<std::string> problems;
  const auto metrics = parse_metrics(
      R"({"metrics":[{"name":"a b","numberValue":1},{"numberValue":1},{"name":"x","numberValue":"NaN"},
          {"name":"x-","numberValue":1},{"name":"x","numberValue":"many"},{"name":"x","other":1},7,
          {"name":"good","numberValue":1}]})",
      "n", problems);
  REQUIRE(metrics.size() == 1);
  CHECK(metrics[0].name == "good");
  REQUIRE(problems.size() == 7);
  for (size_t i = 0; i < problems.size(); ++i) CHECK(problems[i].starts_with(fmt::format("metrics[{}]", i)));
}

TEST_CASE("what a task left as metrics is read when it is there and right") {
  const auto folder = std::filesystem::temp_directory_path() / ("penstock-metrics-" + new_uuid());
  {
    objects::Store objects(folder);
    objects.put("mlpipeline", "m", R"({"metrics":[{"name":"loss","numberValue":2}]})");
    objects.put("mlpipeline", "bad", "nonsense");
    CHECK(read_metrics_file(objects, "minio://mlpipeline/m", "n").size() == 1);
    CHECK(read_metrics_file(objects, "minio://mlpipeline/none", "n").empty());
    CHECK(read_metrics_file(objects, "minio://mlpipeline/bad", "n").empty());
    CHECK(read_metrics_file(objects, "gs://elsewhere/m", "n").empty());
  }
  std::filesystem::remove_all(folder);
}
