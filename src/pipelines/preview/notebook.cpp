#include "pipelines/preview/notebook.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"

namespace penstock::pipelines::preview {

namespace {

constexpr std::string_view kShown[] = {"text/plain", "text/markdown", "application/json", "image/png", "image/jpeg"};

class Cells {
 public:
  Cells(const NotebookLimits& limits, json::object& out) : limits_(limits), left_(limits.bytes), out_(out) {}

  void show(const json::array& cells) {
    json::array shown;
    for (const json::value& cell : cells) {
      if (!cell.is_object()) throw invalid("a cell of the notebook is no object");
      if (shown.size() == limits_.cells) {
        truncated_ = true;
        break;
      }
      shown.push_back(cell_json(cell.get_object()));
    }
    out_["cells"] = std::move(shown);
    out_["truncated"] = truncated_;
  }

 private:
  // A text, or a list of its lines.
  std::string text_of(const json::value* value) {
    std::string text;
    if (value == nullptr) return text;
    if (value->is_string()) {
      text = to_std(value->get_string());
    } else if (value->is_array()) {
      for (const json::value& line : value->get_array()) {
        if (line.is_string()) text += to_view(line.get_string());
      }
    } else if (!value->is_null()) {
      text = to_text(*value);
    }
    if (text.size() > left_) {
      text.resize(left_);
      text = to_utf8(text);
      truncated_ = true;
    }
    left_ -= std::min(left_, text.size());
    return text;
  }

  json::object cell_json(const json::object& cell) {
    json::object out{{"type", get_string(cell, "cell_type")}, {"source", text_of(find(cell, "source"))}};
    if (const json::value* count = find(cell, "execution_count"); count && count->is_number()) {
      out["execution_count"] = *count;
    }
    json::array outputs;
    if (const json::array* list = find_array(cell, "outputs")) {
      for (const json::value& output : *list) {
        if (output.is_object()) outputs.push_back(output_json(output.get_object()));
      }
    }
    if (!outputs.empty()) out["outputs"] = std::move(outputs);
    return out;
  }

  json::object output_json(const json::object& output) {
    json::object out{{"type", get_string(output, "output_type")}};
    if (const std::string name = get_string(output, "name"); !name.empty()) out["name"] = name;
    if (const json::value* text = find(output, "text")) out["text"] = text_of(text);
    if (const std::string error = get_string(output, "ename"); !error.empty()) {
      out["text"] = fmt::format("{}: {}", error, get_string(output, "evalue"));
    }
    const json::object* data = find_object(output, "data");
    if (data == nullptr) return out;
    json::object shown;
    json::array omitted;
    for (const auto& [type, value] : *data) {
      if (std::ranges::find(kShown, std::string_view(type.data(), type.size())) == std::end(kShown)) {
        omitted.emplace_back(type);
      } else if (const bool image = std::string_view(type.data(), type.size()).starts_with("image/");
                 image && value.is_string() && value.get_string().size() > left_) {
        // Half an image is none.
        omitted.emplace_back(type);
        truncated_ = true;
      } else {
        shown[type] = text_of(&value);
      }
    }
    if (!shown.empty()) out["data"] = std::move(shown);
    if (!omitted.empty()) out["omitted"] = std::move(omitted);
    return out;
  }

  const NotebookLimits& limits_;
  size_t left_;
  json::object& out_;
  bool truncated_ = false;
};

}  // namespace

void show_notebook(const json::value& notebook, const NotebookLimits& limits, json::object& out) {
  const json::array* cells = notebook.is_object() ? find_array(notebook.get_object(), "cells") : nullptr;
  if (cells == nullptr) throw invalid("the notebook has no cells");
  std::string language = string_at(notebook, {"metadata", "language_info", "name"});
  if (language.empty()) language = string_at(notebook, {"metadata", "kernelspec", "language"});
  if (!language.empty()) out["language"] = language;
  Cells(limits, out).show(*cells);
}

}  // namespace penstock::pipelines::preview
