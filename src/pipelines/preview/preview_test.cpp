#include "pipelines/preview/preview.h"

#include <fstream>

#include <doctest/doctest.h>

#include "base/error.h"
#include "pipelines/preview/charts.h"
#include "pipelines/preview/npy.h"
#include "pipelines/preview/parquet.h"
#include "pipelines/preview/table.h"

using namespace penstock;
using namespace penstock::pipelines::preview;

namespace {

// Notes how much of it was asked for.
class Bytes : public objects::Reader {
 public:
  explicit Bytes(std::string text, uint64_t size = 0) : text_(std::move(text)), size_(std::max(size, text_.size())) {}
  uint64_t size() const override { return size_; }
  std::string read(uint64_t offset, size_t length) override {
    std::string out = offset < text_.size() ? text_.substr(offset, length) : std::string();
    if (offset < size_) out.resize(std::min<uint64_t>(length, size_ - offset), 'x');
    taken += out.size();
    return out;
  }
  uint64_t taken = 0;

 private:
  std::string text_;
  uint64_t size_;
};

std::string file(std::string_view name) {
  std::ifstream in(std::string(PENSTOCK_SOURCE_DIR) + "/tests/" + std::string(name), std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

json::object shown(objects::Reader& reader, std::string_view name = {}, std::string_view type = {},
                   PreviewLimits limits = {}) {
  return preview(reader, detect(reader, name, type), limits);
}

std::string kind_of(std::string_view bytes, std::string_view name = {}, std::string_view type = {}) {
  return std::string(to_string(detect(bytes, false, name, type).kind));
}

}  // namespace

TEST_CASE("what bytes are") {
  CHECK(kind_of("") == "empty");
  CHECK(kind_of("a,b\n1,2\n") == "csv");
  CHECK(kind_of("a\tb\n1\t2\n") == "csv");
  CHECK(kind_of("Dear reader,\nthis is prose, and no table.\nIt goes on.\n") == "text");
  CHECK(kind_of("one line, with a comma") == "text");
  CHECK(kind_of("one,line", "x.csv") == "csv");
  CHECK(kind_of("{\"a\": 1}") == "json");
  CHECK(kind_of("[1, 2]") == "json");
  CHECK(kind_of("[section]\nkey = 1\n") == "text");
  CHECK(kind_of("{not json", "x.json") == "json");
  CHECK(kind_of("{\"a\": 1}\n{\"a\": 2}\n") == "jsonl");
  CHECK(kind_of("{\"cells\": [], \"nbformat\": 4}") == "notebook");
  CHECK(kind_of("  <!DOCTYPE html><p>") == "html");
  CHECK(kind_of("<p>x", "", "system.HTML") == "html");
  CHECK(kind_of("x", "", "system.Markdown") == "markdown");
  // What begins as something else is that, whatever it is called.
  CHECK(kind_of("\x89PNG\r\n\x1a\n", "x.html", "system.HTML") == "image");
  CHECK(kind_of("RIFF....WEBPVP8 ") == "image");
  CHECK(kind_of("RIFF....WAVEfmt ") == "text");
  CHECK(kind_of("<svg xmlns='x'/>") == "image");
  CHECK(kind_of("\x80\x04\x95") == "model");
  CHECK(kind_of(std::string_view("\0\1\2\3", 4), "x.joblib") == "model");
  CHECK(kind_of(std::string_view("\0\1\2\3", 4)) == "binary");
}

TEST_CASE("rows of a table") {
  const auto rows = [](std::string_view text, bool cut = false) { return read_table(text, cut, {}); };
  CHECK(rows("a;b\r\n1;2\r\n\r\n3;\"x;\"\"y\"\n").rows ==
        std::vector<std::vector<std::string>>{{"a", "b"}, {"1", "2"}, {"3", "x;\"y"}});
  CHECK(rows("a,b\n1,2\n").header);
  CHECK(!rows("1,2\n3,4\n").header);
  CHECK(!rows("a,a\n1,2\n").header);
  CHECK(rows(",a\n0,2\n").header);
  CHECK(rows("a,b\n\"never closed\n").rows.size() == 2);
  CHECK(rows("a,b\n1,2\n3,", true).rows.size() == 2);
  CHECK(rows("a,b", true).rows.size() == 1);
  CHECK(rows("a|b|c\n1|2|3\n").delimiter == '|');
  const Table narrow = read_table("abcdef,2,3\n4,5,6\n7,8,9\n", false, {.rows = 2, .columns = 2, .cell = 3});
  CHECK(narrow.rows == std::vector<std::vector<std::string>>{{"abc", "2"}, {"4", "5"}});
  CHECK(narrow.columns == 3);
  CHECK(narrow.truncated);
}

TEST_CASE("a large file is looked at, not read") {
  Bytes table("a,b\n1,2\n", 8ull << 30);
  const json::object head = shown(table, "x.csv", "", {.bytes = 4'096, .rows = 2});
  CHECK(head.at("rows").as_array().size() == 2);
  CHECK(head.at("truncated").as_bool());
  CHECK(get_string(head, "size") == std::to_string(8ull << 30));
  CHECK(table.taken < (1u << 20));
  Bytes document("[1,", 8ull << 30);
  CHECK(shown(document, "x.json", "", {.bytes = 100}).at("text").as_string().size() == 100);
  CHECK(document.taken < (1u << 20));
}

TEST_CASE("a Parquet file's footer") {
  Bytes people(file("data/people.parquet"));
  const json::object out = shown(people);
  CHECK(out.at("kind") == "parquet");
  CHECK(out.at("rows_total") == "3");
  CHECK(!out.contains("problem"));
  // Cut off or changed at any byte it is refused or read, and nothing else.
  const std::string footer = file("fuzz/parquet/people");
  REQUIRE(footer.size() > 1'000);
  for (size_t i = 0; i < footer.size(); ++i) {
    CHECK_THROWS_AS(read_parquet_footer(std::string_view(footer).substr(0, i)), Error);
    std::string changed = footer;
    changed[i] = static_cast<char>(changed[i] ^ 0xff);
    try {
      read_parquet_footer(changed);
    } catch (const Error& error) {
      CHECK(error.code() == Code::InvalidArgument);
    }
  }
  Bytes lying("PAR1" + std::string(100, 'x') + std::string("\xff\xff\xff\x7fPAR1", 8));
  CHECK(shown(lying).contains("problem"));
  // A list of a list of … ends before the stack does.
  CHECK_THROWS_AS(read_parquet_footer(std::string(1'000'000, '\x19')), Error);
}

TEST_CASE("an array's header") {
  const NpyHeader header = read_npy_header(file("fuzz/table/npy-s"));
  CHECK(header.dtype == "[('a', '<i4'), ('b', '|S5')]");
  CHECK(header.shape == std::vector<int64_t>{2});
  CHECK(read_npy_header(file("fuzz/table/npy-a")).shape == std::vector<int64_t>{3, 4});
  CHECK_THROWS_AS(read_npy_header("\x93NUMPY\x01\x00\x05\x00{'de"), Error);
}

TEST_CASE("charts of metadata, whichever way it was kept") {
  const auto points = parse_json(
      R"([{"confidenceThreshold": 0.5, "recall": 0.8, "falsePositiveRate": 0.2}, {"recall": 1, "falsePositiveRate": 1},
          {"confidenceThreshold": 1, "recall": 0, "falsePositiveRate": 0}, {"precision": 0.1}])");
  for (const json::object& metadata :
       {json::object{{"confidenceMetrics", points}}, json::object{{"confidenceMetrics", {{"list", points}}}}}) {
    Charts charts;
    charts.add_metadata("google.ClassificationMetrics", metadata);
    const json::object out = charts.json();
    const json::object& curve = out.at("roc_curves").as_array().at(0).as_object();
    CHECK(curve.at("points").as_array().size() == 3);
    CHECK(curve.at("auc").as_double() == doctest::Approx(0.8));
    CHECK(!out.contains("scalars"));
  }
  Charts charts;
  charts.add_metadata("system.Metrics", {{"a", 1}, {"b", 0.5}, {"_kfp_workspace", true}, {"c", "x"}});
  charts.mark({{"artifact_id", "7"}});
  charts.add_scalar("d", 2, "RAW");
  charts.mark({{"artifact_id", "8"}});
  const json::object out = charts.json();
  REQUIRE(out.at("scalars").as_array().size() == 3);
  CHECK(out.at("scalars").as_array().at(0).at("artifact_id") == "7");
  CHECK(out.at("scalars").as_array().at(2).at("artifact_id") == "8");
  CHECK(out.at("values").as_array().size() == 1);
  Charts none;
  none.add_metadata("system.Dataset", {{"rows", 1}});
  CHECK(none.empty());
  none.add_metadata("system.ClassificationMetrics", {{"confidenceMetrics", {1, 2}}});
  CHECK(none.json().contains("problems"));
}
