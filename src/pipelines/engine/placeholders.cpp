#include "pipelines/engine/placeholders.h"

#include <algorithm>

#include "base/error.h"
#include "pipelines/engine/launch.h"

namespace penstock::engine {

std::string substitute(std::string_view text, const Lookup& lookup) {
  std::string result;
  size_t at = 0;
  for (;;) {
    const size_t begin = text.find("{{$", at);
    const size_t end = begin == std::string_view::npos ? begin : text.find("}}", begin);
    if (end == std::string_view::npos) break;
    result += text.substr(at, begin - at);
    if (const auto found = lookup(text.substr(begin + 2, end - begin - 2))) {
      result += *found;
      at = end + 2;
    } else {
      result += "{{$";
      at = begin + 3;
    }
  }
  result += text.substr(at);
  return result;
}

std::optional<std::string_view> bracketed(std::string_view expression, std::string_view prefix,
                                          std::string_view& rest) {
  if (!expression.starts_with(prefix)) return std::nullopt;
  expression.remove_prefix(prefix.size());
  if (expression.size() < 4 || expression[0] != '[' || (expression[1] != '\'' && expression[1] != '"')) {
    return std::nullopt;
  }
  const std::string closing{expression[1], ']'};
  const size_t end = expression.find(closing, 2);
  if (end == std::string_view::npos) return std::nullopt;
  rest = expression.substr(end + 2);
  return expression.substr(2, end - 2);
}

std::optional<std::string> JobPlaceholders::find(std::string_view expression) const {
  const std::pair<std::string_view, std::string_view> all[] = {
      {"$.pipeline_job_name", job_name},
      {"$.pipeline_job_resource_name", resource_name},
      {"$.pipeline_job_uuid", job_uuid},
      {"$.pipeline_task_name", task_name},
      {"$.pipeline_task_uuid", task_uuid},
      {"$.pipeline_job_create_time_utc", created},
      {"$.pipeline_job_schedule_time_utc", scheduled},
      {"$.pipeline_root", root},
      {"$.workspace_path", workspace},
  };
  for (const auto& [name, value] : all) {
    if (name == expression) return std::string(value);
  }
  return std::nullopt;
}

std::string path_segment(std::string_view name) {
  if (name.empty() || name == "." || name == "..") return name.empty() ? "%" : name == "." ? "%2E" : "%2E%2E";
  std::string result;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    // "@" marks a retried dag's later attempts in paths.
    if (c == '/' || c == '%' || c == '@' || byte < 0x20 || byte == 0x7F)
      result += fmt::format("%{:02X}", byte);
    else
      result += c;
  }
  return result;
}

std::string PathMap::parameter_file(std::string_view output_parameter) const {
  return parameter_folder + "/" + path_segment(output_parameter);
}

std::string workspace_path(std::string_view uri) {
  std::string path = PathMap().path_of(uri);
  path.erase(0, path.find_first_not_of('/'));
  return ".artifacts/" + path;
}

std::string PathMap::path_of(std::string_view uri) const {
  for (const auto& [prefix, replacement] : prefixes) {
    if (uri.starts_with(prefix)) return replacement + std::string(uri.substr(prefix.size()));
  }
  // An image is one folder, as the SDK's executor looks for it.
  if (constexpr std::string_view kImage = "oci://"; uri.starts_with(kImage)) {
    std::string name(uri.substr(kImage.size()));
    std::replace(name.begin(), name.end(), '/', '_');
    return "/oci/" + name;
  }
  return std::string(uri);
}

namespace {

// Do all executors know the path of such a URI?
bool is_mapped_by_executors(std::string_view uri) {
  return !uri.starts_with("http://") && !uri.starts_with("https://") && !uri.starts_with("file://");
}

// The text as it stands inside of a JSON string.
std::string json_escaped(std::string_view text) {
  const std::string quoted = json::serialize(json::string_view(text));
  return quoted.substr(1, quoted.size() - 2);
}

class Resolver {
 public:
  Resolver(const LaunchSpec& spec, const PathMap& paths) : spec_(spec), paths_(paths) {
    resolved_.executor_input = spec.executor_input;
    add_files();
    inputs_ = find_object(resolved_.executor_input, "inputs");
    outputs_ = find_object(resolved_.executor_input, "outputs");
  }

  ResolvedTask run() {
    resolved_.image = text(spec_.image);
    for (const auto& item : spec_.command) append(item, resolved_.command, 0);
    for (const auto& item : spec_.args) append(item, resolved_.args, 0);
    for (const auto& [name, value] : spec_.env) resolved_.env.emplace_back(name, text(value));
    return std::move(resolved_);
  }

 private:
  void add_folder(const std::string& file) {
    const size_t slash = file.rfind('/');
    if (slash == std::string::npos || slash == 0) return;
    std::string folder = file.substr(0, slash);
    auto& folders = resolved_.output_folders;
    if (std::find(folders.begin(), folders.end(), folder) == folders.end()) folders.push_back(std::move(folder));
  }

  void add_files() {
    json::object& input = resolved_.executor_input;
    if (!input.contains("outputs")) input["outputs"] = json::object();
    json::object& outputs = input["outputs"].as_object();
    json::object parameters;
    for (const auto& def : spec_.component->output_parameters) {
      const std::string file = paths_.parameter_file(def.name);
      add_folder(file);
      parameters[def.name] = json::object{{"outputFile", file}};
    }
    if (!parameters.empty()) outputs["parameters"] = std::move(parameters);
    outputs["outputFile"] = paths_.executor_output_file;
    add_folder(paths_.executor_output_file);
    map_artifacts(outputs, true);
    if (auto* inputs = input.if_contains("inputs")) map_artifacts(inputs->as_object(), false);
  }

  void map_artifacts(json::object& side, bool is_output) {
    auto* lists = side.if_contains("artifacts");
    if (lists == nullptr || !lists->is_object()) return;
    for (auto& [name, list] : lists->get_object()) {
      for (auto& artifact : list.as_object()["artifacts"].as_array()) {
        json::object& object = artifact.as_object();
        const std::string path = path_of(object);
        if (is_output) add_folder(path);
        object.erase("unwritten");
        if ((paths_.custom_paths || !is_mapped_by_executors(get_string(object, "uri"))) && !path.empty()) {
          object["custom_path"] = path;
        }
      }
    }
  }

  std::string path_of(const json::object& artifact) const {
    std::string custom = get_string(artifact, "custom_path");
    if (custom.empty()) custom = get_string(artifact, "customPath");
    if (!custom.empty()) return custom;
    const std::string uri = get_string(artifact, "uri");
    const auto* metadata = find_object(artifact, "metadata");
    if (metadata == nullptr || !get_bool(*metadata, "_kfp_workspace")) return paths_.path_of(uri);
    return paths_.workspace + "/" + workspace_path(uri);
  }

  std::string text(std::string_view raw) const {
    return substitute(raw, [this](std::string_view expression) { return look_up(expression); });
  }

  std::optional<std::string> look_up(std::string_view expression) const {
    constexpr std::string_view kEscape = ".json_escape[";
    const size_t escape = expression.rfind(kEscape);
    if (escape != std::string_view::npos && expression.ends_with(']')) {
      const std::string_view digits = expression.substr(escape + kEscape.size());
      if (digits.size() != 2 || digits[0] < '0' || digits[0] > '9') return std::nullopt;
      auto found = look_up(expression.substr(0, escape));
      for (int times = digits[0] - '0'; found && times > 0; --times) found = json_escaped(*found);
      return found;
    }
    if (expression == "$") return to_text(resolved_.executor_input);
    if (expression == "$.outputs.output_file") return paths_.executor_output_file;
    std::string_view rest;
    if (const auto name = bracketed(expression, "$.inputs.parameters", rest)) return parameter(*name, rest);
    if (const auto name = bracketed(expression, "$.inputs.artifacts", rest))
      return artifact(inputs_, *name, rest, true);
    if (const auto name = bracketed(expression, "$.outputs.artifacts", rest)) {
      return artifact(outputs_, *name, rest, false);
    }
    if (const auto name = bracketed(expression, "$.outputs.parameters", rest)) {
      const bool known = rest == ".output_file" && spec_.component->output_parameter(*name) >= 0;
      return known ? std::optional(paths_.parameter_file(*name)) : std::nullopt;
    }
    const JobPlaceholders job{spec_.run_name,     spec_.run_resource_name, spec_.run_id,
                              spec_.task_name,    spec_.parent_task_id,    spec_.created_at,
                              spec_.scheduled_at, spec_.pipeline_root,     paths_.workspace};
    return job.find(expression);
  }

  const json::value* input_value(std::string_view name) const {
    const auto* values = inputs_ != nullptr ? find_object(*inputs_, "parameterValues") : nullptr;
    const auto* value = values != nullptr ? values->if_contains(name) : nullptr;
    return value != nullptr && !value->is_null() ? value : nullptr;
  }

  std::optional<std::string> parameter(std::string_view name, std::string_view rest) const {
    if (!rest.empty()) return std::nullopt;
    if (const auto* value = input_value(name)) return ir::text_of(*value);
    return spec_.component->input_parameter(name) >= 0 ? std::optional<std::string>("") : std::nullopt;
  }

  static const json::array* artifact_list(const json::object* side, std::string_view name) {
    const auto* lists = side != nullptr ? find_object(*side, "artifacts") : nullptr;
    const auto* list = lists != nullptr ? find_object(*lists, name) : nullptr;
    return list != nullptr ? find_array(*list, "artifacts") : nullptr;
  }

  std::optional<std::string> artifact(const json::object* side, std::string_view name, std::string_view rest,
                                      bool is_input) const {
    const json::array* list = artifact_list(side, name);
    if (list == nullptr || list->empty()) {
      const bool known = is_input && spec_.component->input_artifact(name) >= 0;
      return known ? std::optional<std::string>("") : std::nullopt;
    }
    const json::object& first = list->front().as_object();
    if (rest == ".uri") return get_string(first, "uri");
    if (rest == ".path") return path_of(first);
    if (rest == ".name") return get_string(first, "name");
    const json::object empty;
    const auto* found = find_object(first, "metadata");
    const json::object& metadata = found != nullptr ? *found : empty;
    if (rest == ".metadata") return to_text(metadata);
    std::string_view after;
    const auto key = bracketed(rest, ".metadata", after);
    if (!key || !after.empty()) return std::nullopt;
    const auto* value = metadata.if_contains(*key);
    return value != nullptr ? ir::text_of(*value) : std::string();
  }

  bool is_present(std::string_view name) const {
    if (input_value(name) != nullptr) return true;
    const json::array* list = artifact_list(inputs_, name);
    return list != nullptr && !list->empty();
  }

  // The SDK writes the structures as texts.
  static std::optional<json::value> structure(std::string_view raw) {
    const size_t first = raw.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos || raw[first] != '{') return std::nullopt;
    if (raw.find("\"IfPresent\"") == std::string_view::npos && raw.find("\"Concat\"") == std::string_view::npos) {
      return std::nullopt;
    }
    try {
      json::value value = parse_json(raw);
      if (value.is_object() && value.get_object().size() == 1 &&
          (find(value, "IfPresent") != nullptr || find(value, "Concat") != nullptr)) {
        return value;
      }
    } catch (const Error&) {
      // No structure: text that mentions one.
    }
    return std::nullopt;
  }

  // Adds the arguments that `item` stands for: one, several or none.
  void append(const json::value& item, std::vector<std::string>& into, int depth) const {
    if (depth > 100) throw invalid("task {}: IfPresent and Concat are nested too deeply", spec_.task_name);
    if (item.is_string()) {
      const std::string_view raw = to_view(item.get_string());
      if (const auto parsed = structure(raw)) return append(*parsed, into, depth + 1);
      into.push_back(text(raw));
    } else if (item.is_array()) {
      for (const auto& part : item.get_array()) append(part, into, depth + 1);
    } else if (const auto* condition = find(item, "IfPresent")) {
      append_if_present(*condition, into, depth);
    } else if (const auto* parts = find(item, "Concat")) {
      if (!parts->is_array()) throw invalid("task {}: Concat must be a list", spec_.task_name);
      std::vector<std::string> pieces;
      for (const auto& part : parts->get_array()) append(part, pieces, depth + 1);
      std::string joined;
      for (const auto& piece : pieces) joined += piece;
      into.push_back(std::move(joined));
    } else {
      into.push_back(text(ir::text_of(item)));
    }
  }

  void append_if_present(const json::value& condition, std::vector<std::string>& into, int depth) const {
    const std::string name = string_at(condition, {"InputName"});
    if (name.empty()) throw invalid("task {}: IfPresent has no InputName", spec_.task_name);
    const auto* branch = find(condition, is_present(name) ? "Then" : "Else");
    if (branch != nullptr && !branch->is_null()) append(*branch, into, depth + 1);
  }

  const LaunchSpec& spec_;
  const PathMap& paths_;
  ResolvedTask resolved_;
  const json::object* inputs_ = nullptr;
  const json::object* outputs_ = nullptr;
};

}  // namespace

ResolvedTask resolve(const LaunchSpec& spec, const PathMap& paths) { return Resolver(spec, paths).run(); }

}  // namespace penstock::engine
