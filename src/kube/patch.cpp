#include "kube/patch.h"

#include <charconv>

#include "kube/status.h"

namespace penstock::kube {

namespace {

using Tokens = std::vector<std::string>;

StatusError failed(size_t index, std::string_view op, std::string_view path, std::string_view why) {
  StatusDetails details;
  details.causes.push_back({"FieldValueInvalid", std::string(why), std::string(path)});
  return StatusError(Code::InvalidArgument, 422, "Invalid",
                     fmt::format("patch operation {} ({} \"{}\") failed: {}", index, op, path, why), details);
}

Tokens parse_pointer(std::string_view pointer, size_t index) {
  Tokens tokens;
  if (pointer.empty()) return tokens;
  if (pointer[0] != '/') {
    throw bad_request(fmt::format("patch operation {}: the path \"{}\" must begin with '/'", index, pointer));
  }
  for (size_t begin = 1; begin <= pointer.size();) {
    const size_t slash = std::min(pointer.find('/', begin), pointer.size());
    std::string token;
    for (size_t i = begin; i < slash; ++i) {
      if (pointer[i] != '~') {
        token += pointer[i];
      } else if (i + 1 < slash && (pointer[i + 1] == '0' || pointer[i + 1] == '1')) {
        token += pointer[++i] == '0' ? '~' : '/';
      } else {
        throw bad_request(fmt::format("patch operation {}: the path \"{}\" has a stray '~'", index, pointer));
      }
    }
    tokens.push_back(std::move(token));
    begin = slash + 1;
  }
  return tokens;
}

// The index that a token means in an array of `size` items, at most `last`; empty when it means none.
std::optional<size_t> array_index(std::string_view token, size_t last) {
  if (token.empty() || (token.size() > 1 && token[0] == '0')) return std::nullopt;
  size_t index = 0;
  const auto result = std::from_chars(token.data(), token.data() + token.size(), index);
  if (result.ec != std::errc{} || result.ptr != token.data() + token.size() || index > last) return std::nullopt;
  return index;
}

json::value* step_to(json::value& at, std::string_view token) {
  if (auto* object = at.if_object()) return object->if_contains(token);
  if (auto* array = at.if_array()) {
    if (array->empty()) return nullptr;
    const auto index = array_index(token, array->size() - 1);
    return index ? &(*array)[*index] : nullptr;
  }
  return nullptr;
}

json::value* resolve(json::value& root, std::span<const std::string> tokens) {
  json::value* at = &root;
  for (const auto& token : tokens) {
    at = step_to(*at, token);
    if (at == nullptr) return nullptr;
  }
  return at;
}

struct Operation {
  size_t index;
  std::string op;
  std::string path;
  Tokens tokens;

  StatusError error(std::string_view why) const { return failed(index, op, path, why); }
};

void add(json::value& root, const Operation& operation, json::value value) {
  const auto& tokens = operation.tokens;
  if (tokens.empty()) {
    root = std::move(value);
    return;
  }
  json::value* parent = resolve(root, std::span(tokens).first(tokens.size() - 1));
  if (parent == nullptr) throw operation.error("there is nothing at the parent of this path");
  const std::string& last = tokens.back();
  if (auto* object = parent->if_object()) {
    (*object)[last] = std::move(value);
  } else if (auto* array = parent->if_array()) {
    const auto index = last == "-" ? std::optional(array->size()) : array_index(last, array->size());
    if (!index) throw operation.error(fmt::format("the list has {} items", array->size()));
    array->insert(array->begin() + static_cast<std::ptrdiff_t>(*index), std::move(value));
  } else {
    throw operation.error("the parent is neither an object nor a list");
  }
}

json::value take(json::value& root, const Operation& operation, const Tokens& tokens) {
  if (tokens.empty()) throw operation.error("the whole object cannot be removed");
  json::value* parent = resolve(root, std::span(tokens).first(tokens.size() - 1));
  json::value* found = parent ? step_to(*parent, tokens.back()) : nullptr;
  if (found == nullptr) throw operation.error("there is nothing at this path");
  json::value value = std::move(*found);
  if (auto* object = parent->if_object()) {
    object->stable_erase(object->find(tokens.back()));
  } else {
    auto& array = parent->get_array();
    array.erase(array.begin() + (found - array.data()));
  }
  return value;
}

const json::value& member(const json::object& item, const Operation& operation, std::string_view key) {
  const auto* value = item.if_contains(key);
  if (value == nullptr) {
    throw bad_request(fmt::format("patch operation {} ({}): \"{}\" is missing", operation.index, operation.op, key));
  }
  return *value;
}

std::string text_member(const json::object& item, const Operation& operation, std::string_view key) {
  const auto& value = member(item, operation, key);
  if (!value.is_string()) {
    throw bad_request(fmt::format("patch operation {}: \"{}\" must be a string", operation.index, key));
  }
  return to_std(value.get_string());
}

void apply_operation(json::value& target, const json::value& item, size_t index) {
  if (!item.is_object()) throw bad_request(fmt::format("patch operation {} must be an object", index));
  const auto& object = item.get_object();
  Operation operation{index, {}, {}, {}};
  operation.op = text_member(object, operation, "op");
  operation.path = text_member(object, operation, "path");
  operation.tokens = parse_pointer(operation.path, index);
  if (operation.op == "add") {
    add(target, operation, member(object, operation, "value"));
  } else if (operation.op == "remove") {
    take(target, operation, operation.tokens);
  } else if (operation.op == "replace") {
    json::value* found = resolve(target, operation.tokens);
    if (found == nullptr) throw operation.error("there is nothing at this path");
    *found = member(object, operation, "value");
  } else if (operation.op == "test") {
    const json::value* found = resolve(target, operation.tokens);
    const auto& wanted = member(object, operation, "value");
    if (found == nullptr || *found != wanted) throw operation.error("the value is another");
  } else if (operation.op == "move" || operation.op == "copy") {
    const Tokens from = parse_pointer(text_member(object, operation, "from"), index);
    if (operation.op == "move") {
      const bool inside =
          from.size() < operation.tokens.size() && std::equal(from.begin(), from.end(), operation.tokens.begin());
      if (inside) throw operation.error("a value cannot be moved into itself");
      add(target, operation, take(target, operation, from));
    } else {
      const json::value* found = resolve(target, from);
      if (found == nullptr) throw operation.error("there is nothing to copy from");
      add(target, operation, json::value(*found));
    }
  } else {
    throw bad_request(fmt::format("patch operation {}: \"{}\" is none of add, remove, replace, move, copy, test", index,
                                  operation.op));
  }
}

}  // namespace

void apply_json_patch(json::value& target, const json::value& patch) {
  if (!patch.is_array()) throw bad_request("a JSON patch must be a list of operations");
  size_t index = 0;
  for (const auto& item : patch.get_array()) apply_operation(target, item, index++);
}

void apply_merge_patch(json::value& target, const json::value& patch) {
  if (!patch.is_object()) {
    target = patch;
    return;
  }
  if (!target.is_object()) target = json::object();
  auto& object = target.get_object();
  for (const auto& [key, value] : patch.get_object()) {
    if (value.is_null()) {
      if (const auto at = object.find(key); at != object.end()) object.stable_erase(at);
    } else if (value.is_object()) {
      apply_merge_patch(object[key], value);
    } else {
      object[key] = value;
    }
  }
}

}  // namespace penstock::kube
