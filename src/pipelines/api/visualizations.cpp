// POST /visualizations/{namespace}: a page of data in this server's object store.
#include <algorithm>
#include <charconv>

#include "base/fields.h"
#include "pipelines/api/routes.h"
#include "pipelines/api/visualize.h"

namespace penstock::pipelines::api {

namespace {

constexpr uint64_t kMaxSource = 32u << 20;
constexpr size_t kMaxFiles = 100;

enum class Kind { RocCurve, Tfdv, Tfma, Table, Custom };
constexpr EnumName kKinds[] = {{0, "ROC_CURVE"}, {1, "TFDV"}, {2, "TFMA"}, {3, "TABLE"}, {4, "CUSTOM"}};

struct Visualization {
  Kind type = Kind::RocCurve;
  std::string source, arguments, html, error;
};

const Fields<Visualization>& visualization_fields() {
  using V = Visualization;
  static const auto kFields = Fields<V>("Visualization")
                                  .add("type", &V::type, kKinds)
                                  .add("source", &V::source)
                                  .add("arguments", &V::arguments)
                                  .add("html", &V::html, {.output_only = true})
                                  .add("error", &V::error, {.output_only = true});
  return kFields;
}

[[noreturn]] void refuse(std::string_view field, std::string_view why) {
  throw Error(Code::InvalidArgument, fmt::format("{}: {}", field, why), std::string(field));
}

// Does a part of a key match one of a pattern, in which * stands for anything? In linear time but for the last *.
bool part_matches(std::string_view pattern, std::string_view part) {
  size_t p = 0, i = 0, star = std::string_view::npos, from = 0;
  while (i < part.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      from = i;
    } else if (p < pattern.size() && pattern[p] == part[i]) {
      ++p;
      ++i;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      i = ++from;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

bool matches(std::string_view pattern, std::string_view key) {
  while (true) {
    const size_t p = pattern.find('/'), k = key.find('/');
    if ((p == std::string_view::npos) != (k == std::string_view::npos)) return false;
    if (!part_matches(pattern.substr(0, p), key.substr(0, k))) return false;
    if (p == std::string_view::npos) return true;
    pattern.remove_prefix(p + 1);
    key.remove_prefix(k + 1);
  }
}

// The rows of every object that the source names: one object, a folder of them, or a pattern.
std::vector<CsvRow> read_source(const objects::Store& objects, const std::string& source) {
  const auto location = objects::parse_uri(source);
  if (!location || location->key.empty()) refuse("source", "expected minio://BUCKET/KEY");
  if ((location->scheme != "minio" && location->scheme != "s3") || !objects.has_bucket(location->bucket)) {
    refuse("source", fmt::format("{} is not in this server's object store", source));
  }
  std::vector<std::string> keys;
  const size_t star = location->key.find('*');
  const std::string prefix = location->key.substr(0, star);
  for (const auto& object : objects.list(location->bucket, prefix, 10'000)) {
    const std::string_view rest = std::string_view(object.key).substr(prefix.size());
    const bool wanted = star == std::string::npos ? rest.empty() || rest.starts_with('/') || prefix.ends_with('/')
                                                  : matches(location->key, object.key);
    if (wanted && !object.key.ends_with("schema.json")) keys.push_back(object.key);
  }
  if (keys.empty()) throw Error(Code::NotFound, fmt::format("source: there is no object {}", source), "source");
  if (keys.size() > kMaxFiles) refuse("source", fmt::format("it names more than {} objects", kMaxFiles));
  std::vector<CsvRow> rows;
  uint64_t left = kMaxSource;
  for (const std::string& key : keys) {
    const std::string text = objects.get(location->bucket, key, left + 1);
    if (text.size() > left) refuse("source", fmt::format("it holds more than {} bytes", kMaxSource));
    left -= text.size();
    for (CsvRow& row : read_csv(text)) rows.push_back(std::move(row));
  }
  return rows;
}

// The names of the columns, by the schema that lies beside the source: [{"name": …}].
std::vector<std::string> read_schema(const objects::Store& objects, const std::string& source) {
  const auto location = objects::parse_uri(source);
  std::string folder = location->key.substr(0, location->key.find('*'));
  if (const auto whole = objects.find(location->bucket, folder); whole && std::filesystem::is_directory(*whole)) {
    if (!folder.ends_with('/')) folder += '/';
  } else {
    folder.resize(folder.rfind('/') + 1);
  }
  const json::value schema = parse_json(objects.get(location->bucket, folder + "schema.json", 1 << 20));
  std::vector<std::string> names;
  if (schema.is_array()) {
    for (const json::value& column : schema.as_array()) names.push_back(string_at(column, {"name"}));
  }
  return names;
}

// As the reference: of points that the pipeline has made (is_generated, the default where there are no scores), or of
// scored rows whose columns a schema.json names.
std::vector<RocPoint> read_roc(const objects::Store& objects, const std::string& source,
                               const json::object& arguments) {
  const std::string score = get_string(arguments, "true_score_column");
  if (get_bool(arguments, "is_generated", score.empty())) return roc_points(read_source(objects, source));
  if (arguments.contains("target_lambda") && !get_string(arguments, "target_lambda").empty()) {
    refuse("arguments.target_lambda", "this server runs no Python for a page; leave a column \"target\" and trueclass");
  }
  const std::vector<std::string> names = read_schema(objects, source);
  const auto column = [&](std::string_view name) {
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) refuse("arguments", fmt::format("schema.json has no column {:?}", name));
    return static_cast<size_t>(found - names.begin());
  };
  const size_t target = column("target"), scores = column(score);
  const std::string true_class = get_string(arguments, "trueclass", "true");
  std::vector<std::pair<double, bool>> scored;
  for (const CsvRow& row : read_source(objects, source)) {
    double number = 0;
    if (row.size() > std::max(target, scores)) {
      const std::string& text = row[scores];
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (error == std::errc{} && end == text.data() + text.size()) {
        scored.emplace_back(number, row[target] == true_class);
        continue;
      }
    }
    refuse("source", fmt::format("row {} has no number in the column {:?}", scored.size() + 1, score));
  }
  return roc_points(std::move(scored));
}

std::optional<CsvRow> headers_of(const json::object& arguments) {
  const json::value* given = find(arguments, "headers");
  if (!given || given->is_null()) return std::nullopt;
  if (!given->is_array()) refuse("arguments.headers", "expected a list of names");
  CsvRow headers;
  for (const json::value& name : given->as_array())
    headers.push_back(name.is_string() ? to_std(name.as_string()) : to_text(name));
  return headers;
}

Async<Response> create(const ApiContext& context, Request& request) {
  const json::value body = co_await read_json(context, request);
  Visualization made = visualization_fields().read(body);
  if (made.type != Kind::RocCurve && made.type != Kind::Table) {
    throw Error(Code::Unimplemented,
                fmt::format("type: {} needs a notebook with packages that this server does not have; ROC_CURVE and "
                            "TABLE are made",
                            kKinds[static_cast<size_t>(made.type)].name),
                "type");
  }
  if (made.source.empty()) refuse("source", "it is required and missing");
  json::object arguments;
  if (!made.arguments.empty()) {
    json::value parsed = parse_json(made.arguments);
    if (!parsed.is_object()) refuse("arguments", "expected the JSON of an object");
    arguments = std::move(parsed.as_object());
  }
  made.html = co_await context.blocking.run([&] {
    if (made.type == Kind::RocCurve) return roc_html(read_roc(context.objects, made.source, arguments));
    std::optional<CsvRow> headers = headers_of(arguments);
    return table_html(read_source(context.objects, made.source), std::move(headers));
  });
  co_return http::json_response(visualization_fields().write(made));
}

}  // namespace

void add_visualization_routes(Routes& routes) {
  routes.add(Method::Post, "/visualizations/{namespace}", create);
  routes.add_v1(Method::Post, "/visualizations/{namespace}", create);
}

}  // namespace penstock::pipelines::api
