// What a task left behind, read into its outputs.
#include <charconv>
#include <cstdlib>

#include "base/error.h"
#include "base/utf8.h"
#include "pipelines/engine/launch.h"

namespace penstock::engine {

namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  return begin == std::string_view::npos ? std::string_view()
                                         : text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

[[noreturn]] void bad(std::string_view text, ir::ParameterType type) {
  throw invalid("\"{}\" is not a {}", text.size() > 80 ? std::string(text.substr(0, 77)) + "…" : std::string(text),
                ir::type_name(type));
}

json::value read_boolean(std::string_view text) {
  for (const std::string_view word : {"true", "True", "TRUE", "t", "T", "1"}) {
    if (text == word) return true;
  }
  for (const std::string_view word : {"false", "False", "FALSE", "f", "F", "0"}) {
    if (text == word) return false;
  }
  bad(text, ir::ParameterType::Boolean);
}

// The artifact that the engine planned, with what the executor says about it.
json::object merged_artifact(json::object planned, const json::object& reported) {
  for (const auto& [key, value] : reported) {
    if (value.is_null() || (value.is_string() && value.get_string().empty())) continue;
    if (key == "metadata" && value.is_object()) {
      if (!planned["metadata"].is_object()) planned["metadata"] = json::object();
      json::object& metadata = planned["metadata"].get_object();
      for (const auto& [name, member] : value.get_object()) metadata[name] = member;
    } else if (key == "type" && planned.contains("type")) {
      continue;  // the component's declaration holds
    } else {
      planned[key] = value;
    }
  }
  return planned;
}

void merge_artifacts(const LaunchSpec& spec, const json::value& executor_output, Outputs& outputs) {
  const auto* sides = find_object(spec.executor_input, "outputs");
  const auto* planned = sides != nullptr ? find(*sides, "artifacts") : nullptr;
  const auto* reported = find(executor_output, "artifacts");
  for (const auto& def : spec.component->output_artifacts) {
    json::object base;
    const auto* plan = planned != nullptr ? find_path(*planned, {def.name, "artifacts"}) : nullptr;
    if (plan != nullptr && plan->is_array() && !plan->get_array().empty()) base = plan->get_array()[0].as_object();
    const auto* list = reported != nullptr ? find_path(*reported, {def.name, "artifacts"}) : nullptr;
    json::array result;
    if (list != nullptr && list->is_array()) {
      for (const auto& artifact : list->get_array()) {
        if (!artifact.is_object()) throw invalid("output artifact {}: the executor output is malformed", def.name);
        result.push_back(merged_artifact(base, artifact.get_object()));
        if (!def.list) break;
      }
    }
    if (result.empty() && !def.list) result.push_back(std::move(base));
    outputs.artifacts[def.name] = std::move(result);
  }
}

}  // namespace

json::value read_output_parameter(ir::ParameterType type, std::string_view text) {
  const std::string_view word = trimmed(text);
  switch (type) {
    case ir::ParameterType::Integer: {
      int64_t number = 0;
      const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
      if (error != std::errc{} || end != word.data() + word.size()) bad(word, type);
      return number;
    }
    case ir::ParameterType::Double: {
      const std::string copy(word);
      char* end = nullptr;
      const double number = std::strtod(copy.c_str(), &end);
      if (copy.empty() || *end != 0 || !(number - number == 0)) bad(word, type);
      return number;
    }
    case ir::ParameterType::Boolean: return read_boolean(word);
    case ir::ParameterType::List:
    case ir::ParameterType::Struct:
    case ir::ParameterType::TaskConfig:
    case ir::ParameterType::TaskFinalStatus: {
      json::value value;
      try {
        value = parse_json(word);
      } catch (const Error& error) {
        throw invalid("not a {}: {}", ir::type_name(type), error.message());
      }
      return ir::convert(value, type, "the value");
    }
    default:
      if (!is_utf8(text)) throw invalid("not UTF-8 text: bytes go into an artifact");
      return json::value(text);
  }
}

Outputs merge_executor_output(const LaunchSpec& spec, const json::value& executor_output,
                              const std::map<std::string, std::string>& parameter_files) {
  if (!executor_output.is_null() && !executor_output.is_object()) {
    throw invalid("the executor output must be a JSON object, not {}", to_text(executor_output).substr(0, 80));
  }
  Outputs outputs;
  const auto* values = find(executor_output, "parameterValues");
  for (const auto& def : spec.component->output_parameters) {
    const std::string where = "output parameter " + def.name;
    const auto* value = values != nullptr ? find(*values, def.name) : nullptr;
    auto file = parameter_files.find(def.name);
    if (file == parameter_files.end()) file = parameter_files.find(path_segment(def.name));
    if (value != nullptr && !value->is_null()) {
      outputs.parameters[def.name] = ir::convert(*value, def.type, where);
    } else if (file != parameter_files.end()) {
      try {
        outputs.parameters[def.name] = read_output_parameter(def.type, file->second);
      } catch (const Error& error) {
        throw invalid("{}: {}", where, error.message());
      }
    } else if (!def.optional && value == nullptr) {
      throw invalid(
          "{}: the task ended without writing it (to the file that "
          "{{{{$.outputs.parameters['{}'].output_file}}}} names)",
          where, def.name);
    }
  }
  merge_artifacts(spec, executor_output, outputs);
  return outputs;
}

}  // namespace penstock::engine
