#include "kube/selector.h"

#include <algorithm>

#include "kube/validation.h"

namespace penstock::kube {

namespace {

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// Splits at commas outside parentheses.
std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  int depth = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || (text[i] == ',' && depth == 0)) {
      parts.push_back(trim(text.substr(begin, i - begin)));
      begin = i + 1;
    } else if (text[i] == '(') {
      ++depth;
    } else if (text[i] == ')') {
      --depth;
    }
  }
  return parts;
}

std::string checked_key(std::string_view key, std::string_view selector) {
  if (!is_label_key(key)) {
    throw bad_request(fmt::format("label selector \"{}\": \"{}\" is no label key", selector, key));
  }
  return std::string(key);
}

std::string checked_value(std::string_view value, std::string_view selector) {
  if (!is_label_value(value)) {
    throw bad_request(fmt::format("label selector \"{}\": \"{}\" is no label value", selector, value));
  }
  return std::string(value);
}

// The values of "key in (a,b)"; false when the part is not of that form.
bool parse_set(std::string_view part, std::string_view selector, std::string_view& key, bool& negated,
               std::vector<std::string>& values) {
  const size_t open = part.find('(');
  if (open == std::string_view::npos || part.back() != ')') return false;
  const std::string_view head = trim(part.substr(0, open));
  const size_t space = head.find_last_of(" \t");
  if (space == std::string_view::npos) return false;
  const std::string_view word = head.substr(space + 1);
  if (word != "in" && word != "notin") return false;
  negated = word == "notin";
  key = trim(head.substr(0, space));
  for (const auto value : split(part.substr(open + 1, part.size() - open - 2))) {
    values.push_back(checked_value(value, selector));
  }
  return true;
}

}  // namespace

LabelSelector::LabelSelector(std::string_view text) {
  if (trim(text).empty()) return;
  for (const auto part : split(text)) {
    if (part.empty()) throw bad_request(fmt::format("label selector \"{}\": a requirement is empty", text));
    std::string_view key;
    bool negated = false;
    std::vector<std::string> values;
    if (parse_set(part, text, key, negated, values)) {
      requirements_.push_back({checked_key(key, text), negated ? Operator::NotIn : Operator::In, std::move(values)});
    } else if (const size_t at = part.find("!="); at != std::string_view::npos) {
      requirements_.push_back({checked_key(trim(part.substr(0, at)), text),
                               Operator::NotIn,
                               {checked_value(trim(part.substr(at + 2)), text)}});
    } else if (const size_t equal = part.find('='); equal != std::string_view::npos) {
      const size_t value = equal + (part.substr(equal).starts_with("==") ? 2 : 1);
      requirements_.push_back({checked_key(trim(part.substr(0, equal)), text),
                               Operator::In,
                               {checked_value(trim(part.substr(value)), text)}});
    } else if (part.front() == '!') {
      requirements_.push_back({checked_key(trim(part.substr(1)), text), Operator::Absent, {}});
    } else {
      requirements_.push_back({checked_key(part, text), Operator::Exists, {}});
    }
  }
}

LabelSelector::LabelSelector(const json::object& selector) {
  if (const auto* labels = find_object(selector, "matchLabels")) {
    for (const auto& [key, value] : *labels) {
      requirements_.push_back({std::string(key), Operator::In, {get_string(*labels, key)}});
    }
  }
  const auto* expressions = find_array(selector, "matchExpressions");
  if (expressions == nullptr) return;
  for (const auto& item : *expressions) {
    const auto* object = item.if_object();
    if (object == nullptr) throw bad_request("matchExpressions: each item must be an object");
    Requirement requirement{get_string(*object, "key"), Operator::Exists, {}};
    const std::string op = get_string(*object, "operator");
    if (op == "In")
      requirement.op = Operator::In;
    else if (op == "NotIn")
      requirement.op = Operator::NotIn;
    else if (op == "DoesNotExist")
      requirement.op = Operator::Absent;
    else if (op != "Exists")
      throw bad_request(fmt::format("matchExpressions: \"{}\" is no operator", op));
    if (const auto* values = find_array(*object, "values")) {
      for (const auto& value : *values) {
        if (value.is_string()) requirement.values.push_back(to_std(value.get_string()));
      }
    }
    requirements_.push_back(std::move(requirement));
  }
}

bool LabelSelector::matches(const json::object& object) const {
  if (requirements_.empty()) return true;
  const auto* metadata = find_object(object, "metadata");
  const auto* labels = metadata ? find_object(*metadata, "labels") : nullptr;
  return std::all_of(requirements_.begin(), requirements_.end(), [&](const Requirement& want) {
    const auto* label = labels ? labels->if_contains(want.key) : nullptr;
    const bool listed =
        label != nullptr && label->is_string() &&
        std::find(want.values.begin(), want.values.end(), to_view(label->get_string())) != want.values.end();
    switch (want.op) {
      case Operator::In: return listed;
      case Operator::NotIn: return !listed;
      case Operator::Exists: return label != nullptr;
      case Operator::Absent: return label == nullptr;
    }
    return false;
  });
}

FieldSelector::FieldSelector(std::string_view text, const Kind& kind) {
  if (trim(text).empty()) return;
  for (const auto part : split(text)) {
    const size_t equal = part.find('=');
    if (equal == std::string_view::npos || equal == 0) {
      throw bad_request(fmt::format("field selector \"{}\": \"{}\" is not field=value or field!=value", text, part));
    }
    const bool negated = part[equal - 1] == '!';
    const std::string_view field = trim(part.substr(0, negated ? equal - 1 : equal));
    const size_t value = equal + (part.substr(equal).starts_with("==") ? 2 : 1);
    const bool known =
        field == "metadata.name" || field == "metadata.namespace" ||
        std::find(kind.selectable_fields.begin(), kind.selectable_fields.end(), field) != kind.selectable_fields.end();
    if (!known) {
      throw bad_request(
          fmt::format("field selector \"{}\": {} cannot be selected by \"{}\"", text, kind.resource.plural, field));
    }
    Requirement requirement{{}, !negated, std::string(trim(part.substr(value)))};
    for (size_t begin = 0; begin <= field.size();) {
      const size_t dot = std::min(field.find('.', begin), field.size());
      requirement.path.emplace_back(field.substr(begin, dot - begin));
      begin = dot + 1;
    }
    requirements_.push_back(std::move(requirement));
  }
}

bool FieldSelector::matches(const json::object& object) const {
  return std::all_of(requirements_.begin(), requirements_.end(), [&](const Requirement& want) {
    const json::object* at = &object;
    const json::value* value = nullptr;
    for (const auto& key : want.path) {
      value = at ? at->if_contains(key) : nullptr;
      at = value ? value->if_object() : nullptr;
    }
    // An absent field counts as empty.
    if (value == nullptr || value->is_null()) return want.value.empty() == want.equal;
    if (value->is_string()) return (to_view(value->get_string()) == want.value) == want.equal;
    return (to_text(*value) == want.value) == want.equal;
  });
}

std::string_view FieldSelector::exact_name() const {
  for (const auto& want : requirements_) {
    if (want.equal && want.path.size() == 2 && want.path[0] == "metadata" && want.path[1] == "name") return want.value;
  }
  return {};
}

bool Filter::matches(const json::object& object) const {
  return (ns.empty() || namespace_of(object) == ns) && labels.matches(object) && fields.matches(object);
}

}  // namespace penstock::kube
