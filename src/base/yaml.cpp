// YAML read into JSON values and written from them.
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <map>
#include <sstream>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include "base/error.h"
#include "base/json.h"

namespace penstock {

namespace {

bool is_integer(const std::string& s) {
  size_t i = (s[0] == '-' || s[0] == '+') ? 1 : 0;
  if (i == s.size()) return false;
  for (; i < s.size(); ++i) {
    if (s[i] < '0' || s[i] > '9') return false;
  }
  return true;
}

json::value plain_scalar(const std::string& s) {
  if (s.empty() || s == "~" || s == "null" || s == "Null" || s == "NULL") return nullptr;
  if (s == "true" || s == "True" || s == "TRUE") return true;
  if (s == "false" || s == "False" || s == "FALSE") return false;
  const char c = s[0];
  if (!(c == '-' || c == '+' || c == '.' || (c >= '0' && c <= '9'))) return json::value(s);
  if (is_integer(s)) {
    int64_t number = 0;
    const char* begin = s.data() + (c == '+' ? 1 : 0);
    const auto [end, error] = std::from_chars(begin, s.data() + s.size(), number);
    if (error == std::errc{} && end == s.data() + s.size()) return number;
    uint64_t large = 0;
    const auto [large_end, too_large] = std::from_chars(begin, s.data() + s.size(), large);
    if (too_large == std::errc{} && large_end == s.data() + s.size()) return large;
    const double rounded = std::strtod(s.c_str(), nullptr);
    return std::isfinite(rounded) ? json::value(rounded) : json::value(s);
  }
  if (s.size() > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'o')) {
    char* end = nullptr;
    const int64_t number = std::strtoll(s.c_str() + 2, &end, s[1] == 'x' ? 16 : 8);
    if (*end == 0) return number;
    return json::value(s);
  }
  if (s.find_first_not_of("0123456789+-.eE") != std::string::npos) return json::value(s);
  char* end = nullptr;
  const double number = std::strtod(s.c_str(), &end);
  if (*end == 0 && std::isfinite(number)) return number;
  return json::value(s);
}

// Builds JSON values from the parser's events. What anchors name is kept as values; each alias is a copy that counts as
// if it stood there.
class YamlReader : public YAML::EventHandler {
 public:
  explicit YamlReader(size_t most) : left_(most) {}

  std::vector<json::value> documents;

  void OnDocumentStart(const YAML::Mark& mark) override {
    // On some broken texts the parser finds one empty document after the other at the same place, for ever.
    if (mark.pos <= document_) {
      throw invalid("invalid YAML at line {}, column {}: a document cannot begin here", mark.line + 1, mark.column + 1);
    }
    document_ = mark.pos;
    anchors_.clear();
    root_ = nullptr;
  }
  void OnDocumentEnd() override { documents.push_back(std::move(root_)); }
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (expects_key()) throw bad_key(mark);
    add(nullptr, anchor, take(1));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto known = anchors_.find(anchor);
    if (known == anchors_.end()) {
      throw invalid("invalid YAML at line {}, column {}: an alias inside of what it names", mark.line + 1,
                    mark.column + 1);
    }
    const auto& [value, size] = known->second;
    if (expects_key()) {
      if (!value.is_string()) throw bad_key(mark);
      open_.back().key = to_std(value.get_string());
      open_.back().has_key = true;
      return;
    }
    take(size);
    if (depth_of(value) + static_cast<int>(open_.size()) > kDeepest) throw too_deep();
    add(value, 0, size);
  }
  void OnScalar(const YAML::Mark&, const std::string& tag, YAML::anchor_t anchor, const std::string& text) override {
    if (expects_key()) {
      open_.back().key = text;
      open_.back().has_key = true;
      if (anchor != 0) anchors_[anchor] = {json::value(text), 1};
      return;
    }
    const bool quoted = tag == "!" || tag == "tag:yaml.org,2002:str";
    add(quoted ? json::value(text) : plain_scalar(text), anchor, take(1));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, json::array(), anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, json::object(), anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  static constexpr int kDeepest = 200;

  struct Open {  // a sequence or map whose end has not come
    json::value value;
    YAML::anchor_t anchor = 0;
    size_t size = 1;
    std::string key{};
    bool has_key = false;
  };
  struct Anchored {
    json::value value;
    size_t size = 0;
  };

  static Error too_deep() { return invalid("invalid YAML: nested deeper than {} levels", kDeepest); }
  static Error bad_key(const YAML::Mark& mark) {
    return invalid("invalid YAML at line {}: a key must be a scalar", mark.line + 1);
  }
  static int depth_of(const json::value& value) {
    int deepest = 0;
    if (value.is_array()) {
      for (const auto& item : value.get_array()) deepest = std::max(deepest, 1 + depth_of(item));
    } else if (value.is_object()) {
      for (const auto& [name, member] : value.get_object()) deepest = std::max(deepest, 1 + depth_of(member));
    }
    return deepest;
  }

  bool expects_key() const { return !open_.empty() && open_.back().value.is_object() && !open_.back().has_key; }

  size_t take(size_t values) {
    if (values > left_) throw invalid("invalid YAML: expands to too many values");
    left_ -= values;
    return values;
  }

  void open(const YAML::Mark& mark, json::value empty, YAML::anchor_t anchor) {
    if (expects_key()) throw bad_key(mark);
    if (static_cast<int>(open_.size()) >= kDeepest) throw too_deep();
    take(1);
    open_.push_back({.value = std::move(empty), .anchor = anchor});
  }

  void close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    add(std::move(done.value), done.anchor, done.size);
  }

  // `size`: of how many values it consists.
  void add(json::value value, YAML::anchor_t anchor, size_t size) {
    if (anchor != 0) anchors_[anchor] = {value, take(size)};
    if (open_.empty()) {
      root_ = std::move(value);
      return;
    }
    Open& parent = open_.back();
    parent.size += size;
    if (parent.value.is_array()) {
      parent.value.get_array().push_back(std::move(value));
      return;
    }
    json::object& object = parent.value.get_object();
    parent.has_key = false;
    if (parent.key == "<<" && value.is_object()) {
      for (auto& [name, member] : value.get_object()) object.emplace(name, std::move(member));
    } else {
      object[parent.key] = std::move(value);
    }
  }

  size_t left_;
  int document_ = -1;  // where the last one began
  json::value root_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, Anchored> anchors_;
};

bool is_plain_safe(std::string_view s) {
  if (s.empty() || s.size() > 120) return false;
  if (!plain_scalar(std::string(s)).is_string()) return false;
  if (s == "yes" || s == "no" || s == "on" || s == "off" || s == "y" || s == "n") return false;
  for (const char c : s) {
    const bool safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                      c == '-' || c == '.' || c == '/';
    if (!safe) return false;
  }
  return s[0] != '-' && s[0] != '.';
}

void write_yaml(const json::value& value, int indent, std::string& out) {
  const std::string pad(static_cast<size_t>(indent), ' ');
  auto scalar = [&](const json::value& v) {
    if (v.is_string() && is_plain_safe(to_view(v.get_string()))) return to_std(v.get_string());
    return to_text(v);
  };
  auto nested = [](const json::value& v) {
    return (v.is_object() && !v.get_object().empty()) || (v.is_array() && !v.get_array().empty());
  };
  if (value.is_object()) {
    for (const auto& [key, member] : value.get_object()) {
      out += pad + (is_plain_safe(key) ? std::string(key) : to_text(json::value(key))) + ":";
      if (nested(member)) {
        out += "\n";
        write_yaml(member, indent + 2, out);
      } else {
        out += " " + scalar(member) + "\n";
      }
    }
  } else if (value.is_array()) {
    for (const auto& item : value.get_array()) {
      if (nested(item)) {
        std::string inner;
        write_yaml(item, indent + 2, inner);
        inner[static_cast<size_t>(indent)] = '-';
        out += inner;
      } else {
        out += pad + "- " + scalar(item) + "\n";
      }
    }
  } else {
    out += pad + scalar(value) + "\n";
  }
}

}  // namespace

std::vector<json::value> parse_yaml(std::string_view text, size_t max_nodes) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && (text[first] == '{' || text[first] == '[')) {
    try {
      std::vector<json::value> documents;
      documents.push_back(parse_json(text));
      return documents;
    } catch (const Error&) {
      // Flow-style YAML is no JSON: read it below.
    }
  }
  try {
    // Each value of its own takes a character at least; the rest is room for what anchors repeat.
    constexpr size_t kRepeated = 1'000'000;
    YamlReader reader(std::min(max_nodes, text.size() + kRepeated));
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(reader)) {
    }
    return std::move(reader.documents);
  } catch (const YAML::Exception& error) {
    throw invalid("invalid YAML at line {}, column {}: {}", error.mark.line + 1, error.mark.column + 1, error.msg);
  }
}

std::string to_yaml(const json::value& value) {
  std::string out;
  if ((value.is_object() && value.get_object().empty()) || (value.is_array() && value.get_array().empty())) {
    return to_text(value) + "\n";
  }
  write_yaml(value, 0, out);
  return out;
}

}  // namespace penstock
