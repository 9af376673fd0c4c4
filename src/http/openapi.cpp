#include "http/openapi.h"

#include <algorithm>
#include <set>

namespace penstock::http {

namespace {

// "/a/{b*}:c" as OpenAPI has it, and its parameters.
std::pair<std::string, std::vector<std::string>> path_of(std::string_view pattern) {
  std::string path;
  std::vector<std::string> names;
  for (size_t at = 0; at < pattern.size(); ++at) {
    if (pattern[at] == '{') names.emplace_back();
    if (pattern[at] == '*') continue;
    path += pattern[at];
    const bool inside =
        path.find_last_of('{') != std::string::npos && path.find('}', path.find_last_of('{')) == std::string::npos;
    if (inside && pattern[at] != '{') names.back() += pattern[at];
  }
  return {path, names};
}

std::string_view trim(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return out;
}

// get_apis_v2beta1_runs_run_id: made of what is unique about it.
std::string operation_id(std::string_view method, std::string_view path) {
  std::string id = lower(method);
  for (const char c : path) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (letter)
      id += c;
    else if (id.back() != '_')
      id += '_';
  }
  if (id.ends_with('_')) id.pop_back();
  return id;
}

// Pages of the document: "v2beta1 runs" of /apis/v2beta1/runs/{run_id}.
std::string tag_of(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty() && parts.size() < 4) {
    path.remove_prefix(1);
    const size_t slash = std::min(path.find('/'), path.size());
    const auto part = path.substr(0, slash);
    if (!part.starts_with('{')) parts.push_back(part.substr(0, part.find(':')));
    path.remove_prefix(slash);
  }
  if (parts.empty()) return "server";
  if (parts[0] == "apis" && parts.size() > 2) return fmt::format("{} {}", parts[1], parts[2]);
  return std::string(parts[0]);
}

class Writer {
 public:
  Writer(Schemas& schemas, const OpenApiOptions& options) : schemas_(schemas), options_(options) {}

  json::object operation(const Route& route, const std::string& path, const std::vector<std::string>& names) {
    const RouteDoc& doc = route.doc;
    json::array parameters;
    for (const auto& name : names) {
      json::object one = parameter(name, "path", schemas_.type("string"));
      one["required"] = true;
      parameters.push_back(std::move(one));
    }
    add_query(doc.query, parameters);
    json::object out{{"operationId", operation_id(to_string(route.method), path)}, {"tags", json::array{tag_of(path)}}};
    if (!doc.summary.empty()) out["summary"] = doc.summary;
    if (!parameters.empty()) out["parameters"] = std::move(parameters);
    if (!doc.request.empty()) {
      const bool may_miss = doc.request.ends_with('?');
      const auto type = doc.request.substr(0, doc.request.size() - (may_miss ? 1 : 0));
      out["requestBody"] = json::object{{"required", !may_miss}, {"content", content(doc.request_media, type)}};
    }
    json::object success{{"description", "OK"}};
    if (route.method != Method::Head) {
      success["content"] = content(doc.response_media, doc.summary.empty()    ? "any"
                                                       : doc.response.empty() ? "object"
                                                                              : doc.response);
    }
    const std::string& error = error_of(path);
    json::object failure{{"description", "Why not."}};
    if (!error.empty()) failure["content"] = content("application/json", error);
    out["responses"] = json::object{{"200", std::move(success)}, {"default", std::move(failure)}};
    return out;
  }

 private:
  json::object content(std::string_view media, std::string_view type) {
    return {{media, json::object{{"schema", schemas_.type(type)}}}};
  }

  json::object parameter(std::string_view name, std::string_view in, json::object schema) const {
    json::object out{{"name", name}, {"in", in}, {"schema", std::move(schema)}};
    const auto doc = options_.parameters.find(name);
    if (doc != options_.parameters.end()) out["description"] = doc->second;
    return out;
  }

  void add_query(std::string_view query, json::array& parameters) {
    while (!query.empty()) {
      const size_t comma = std::min(query.find(','), query.size());
      const auto one = trim(query.substr(0, comma));
      query.remove_prefix(std::min(comma + 1, query.size()));
      const size_t space = one.find(' ');
      if (space == std::string_view::npos) throw internal("the parameter {:?} has no type", one);
      auto name = one.substr(0, space);
      const bool required = name.ends_with('!');
      if (required) name.remove_suffix(1);
      json::object made = parameter(name, "query", schemas_.type(trim(one.substr(space))));
      if (required) made["required"] = true;
      parameters.push_back(std::move(made));
    }
  }

  const std::string& error_of(std::string_view path) const {
    static const std::string kNone;
    const std::string* best = &kNone;
    size_t length = 0;
    for (const auto& [prefix, type] : options_.errors) {
      if (!path.starts_with(prefix) || prefix.size() < length) continue;
      best = &type;
      length = prefix.size();
    }
    return *best;
  }

  Schemas& schemas_;
  const OpenApiOptions& options_;
};

}  // namespace

json::object openapi_document(const Router& router, Schemas schemas, const OpenApiOptions& options) {
  std::set<std::pair<Method, std::string_view>> there;
  for (const Route& route : router.routes()) there.emplace(route.method, route.pattern);
  const auto is_alias = [&](const Route& route) {
    return std::ranges::any_of(options.alias_prefixes, [&](const std::string& prefix) {
      return route.pattern.starts_with(prefix) &&
             there.contains({route.method, std::string_view(route.pattern).substr(prefix.size())});
    });
  };
  json::object paths;
  Writer writer(schemas, options);
  for (const Route& route : router.routes()) {
    if (is_alias(route)) continue;
    const auto [path, names] = path_of(route.pattern);
    json::value& item = paths[path];
    if (!item.is_object()) item = json::object();
    item.as_object()[lower(to_string(route.method))] = writer.operation(route, path, names);
  }
  json::object info{{"title", options.title}, {"version", options.version}, {"description", options.description}};
  return {{"openapi", "3.1.0"},
          {"info", std::move(info)},
          {"servers", json::array{json::object{{"url", "/"}}}},
          {"paths", std::move(paths)},
          {"components", json::object{{"schemas", schemas.take()}}}};
}

}  // namespace penstock::http
