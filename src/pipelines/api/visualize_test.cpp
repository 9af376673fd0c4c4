#include "pipelines/api/visualize.h"

#include "pipelines/api/fixture.h"

using namespace penstock;
using namespace penstock::pipelines;
using namespace penstock::pipelines::api;

TEST_CASE("CSV") {
  CHECK(read_csv("a,b\r\n1,\"x,\"\"y\"\"\"\n\n,\n") == std::vector<CsvRow>{{"a", "b"}, {"1", "x,\"y\""}, {"", ""}});
  CHECK(read_csv("") == std::vector<CsvRow>{});
  CHECK(read_csv("\"two\nlines\"") == std::vector<CsvRow>{{"two\nlines"}});
  CHECK_THROWS_AS(read_csv("\"open"), Error);
}

TEST_CASE("a table of data that wants to be a page") {
  const std::string html = table_html({{"<b>", "x"}, {"<script>alert(1)</script>", "\"&'"}}, std::nullopt);
  CHECK(html.find("<th>&lt;b&gt;</th>") != std::string::npos);
  CHECK(html.find("<td>&lt;script&gt;alert(1)&lt;/script&gt;</td><td>&quot;&amp;&#39;</td>") != std::string::npos);
  CHECK(html.find("<script") == std::string::npos);
  CHECK(table_html({{"1", "2"}}, CsvRow{"p", "q"}).find("<th>p</th><th>q</th>") != std::string::npos);
  CHECK_THROWS_AS(table_html({}, std::nullopt), Error);
  CHECK_THROWS_AS(table_html({{"1", "2"}}, CsvRow{"p"}), Error);
}

TEST_CASE("a curve of points, and of scores") {
  const auto points = roc_points(std::vector<CsvRow>{{"0", "0", "2"}, {"0", "1", "0.5"}, {"1", "1", "0"}});
  REQUIRE(points.size() == 3);
  CHECK(points[1].true_positives == 1);
  CHECK(roc_html(points).find("Area under the curve: 1.0000") != std::string::npos);
  CHECK_THROWS_AS(roc_points(std::vector<CsvRow>{{"fpr", "tpr"}}), Error);
  CHECK_THROWS_AS(roc_points(std::vector<CsvRow>{{"2", "0"}}), Error);
  CHECK_THROWS_AS(roc_points(std::vector<CsvRow>{}), Error);
  // Of four rows one pair stands in the wrong order: the area is 3/4.
  const auto scored =
      roc_points(std::vector<std::pair<double, bool>>{{0.9, true}, {0.8, false}, {0.7, true}, {0.1, false}});
  CHECK(roc_html(scored).find("Area under the curve: 0.7500") != std::string::npos);
  CHECK_THROWS_AS(roc_points(std::vector<std::pair<double, bool>>{{0.9, true}}), Error);
}

TEST_CASE_FIXTURE(ApiFixture, "visualizations") {
  objects.put("mlpipeline", "v/roc.csv", "0,0,1\n0.5,1,0.5\n1,1,0\n");
  objects.put("mlpipeline", "v/scores/part-1", "0.9,yes\n0.2,no\n");
  objects.put("mlpipeline", "v/scores/part-2", "0.7,yes\n");
  objects.put("mlpipeline", "v/scores/schema.json", R"([{"name":"score"},{"name":"target"}])");
  objects.put("mlpipeline", "v/deep/a/x.csv", "h\n1\n");
  const std::string path = "/visualizations/kubeflow";
  const auto draw = [&](json::object body) { return post(path, body); };
  Reply made = draw({{"type", "ROC_CURVE"}, {"source", "minio://mlpipeline/v/roc.csv"}});
  REQUIRE_MESSAGE(made.status == 200, made.text);
  CHECK(made.string("html").find("Area under the curve: 0.7500") != std::string::npos);
  made = draw({{"type", "ROC_CURVE"},
               {"source", "minio://mlpipeline/v/scores/part-*"},
               {"arguments", R"({"is_generated":false,"true_score_column":"score","trueclass":"yes"})"}});
  REQUIRE_MESSAGE(made.status == 200, made.text);
  CHECK(made.string("html").find("Area under the curve: 1.0000") != std::string::npos);
  made = draw({{"type", "TABLE"},
               {"source", "minio://mlpipeline/v/roc.csv"},
               {"arguments", R"({"headers":["fpr","tpr","<t>"]})"}});
  CHECK(made.string("html").find("<th>&lt;t&gt;</th>") != std::string::npos);
  CHECK(call(http::Method::Post, "//apis/v1beta1" + path, R"({"type":"TABLE","source":"minio://mlpipeline/v/roc.csv"})")
            .status == 200);
  const struct {
    json::object body;
    int status;
  } wrong[] = {
      {{}, 400},
      {{{"type", "TFMA"}, {"source", "minio://mlpipeline/v/roc.csv"}}, 501},
      {{{"type", "PIE"}}, 400},
      {{{"type", "TABLE"}, {"source", "minio://mlpipeline/v/none"}}, 404},
      // An asterisk stands for no slash.
      {{{"type", "TABLE"}, {"source", "minio://mlpipeline/v/deep*x.csv"}}, 404},
      {{{"type", "TABLE"}, {"source", "gs://elsewhere/x"}}, 400},
      {{{"type", "TABLE"}, {"source", "minio://mlpipeline/../../etc/passwd"}}, 400},
      {{{"type", "TABLE"}, {"source", "minio://mlpipeline/v/roc.csv"}, {"arguments", "nonsense"}}, 400},
      {{{"type", "ROC_CURVE"},
        {"source", "minio://mlpipeline/v/scores/part-*"},
        {"arguments", R"({"true_score_column":"none"})"}},
       400},
  };
  for (const auto& one : wrong) {
    const Reply reply = draw(one.body);
    CAPTURE(reply.text);
    CHECK(reply.status == one.status);
  }
}

TEST_CASE_FIXTURE(ApiFixture, "packages that may not be fetched") {
  for (const char* url :
       {"http://example.com/p.yaml", "https://127.0.0.1/p.yaml", "https://[::1]/p.yaml", "https://localhost:1/p.yaml",
        "file:///etc/passwd", "https://", "nonsense", "https://user@127.0.0.1/p.yaml", "ftp://example.com/p.yaml"}) {
    CAPTURE(url);
    const Reply made = post("/pipelines/create", {{"pipeline", {{"name", "p"}}},
                                                  {"pipeline_version", {{"package_url", {{"pipeline_url", url}}}}}});
    CHECK_MESSAGE(made.status == 400, made.text);
    CHECK(call(http::Method::Post, "//apis/v1beta1/pipelines",
               to_text(json::object{{"name", "p"}, {"url", {{"pipeline_url", url}}}}))
              .status == 400);
  }
  CHECK(get("/pipelines").text == "{}");
}
