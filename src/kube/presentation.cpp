#include "kube/presentation.h"

#include "kube/status.h"

namespace penstock::kube {

namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// Calls `use` for each part between separators.
template <class Use>
void each_part(std::string_view text, char separator, Use use) {
  while (true) {
    const size_t at = text.find(separator);
    use(trim(text.substr(0, at)));
    if (at == std::string_view::npos) return;
    text.remove_prefix(at + 1);
  }
}

struct Accepted {
  std::string_view type, as, version = "v1", group;
};

Accepted parse_accepted(std::string_view range) {
  Accepted accepted;
  bool first = true;
  each_part(range, ';', [&](std::string_view part) {
    if (std::exchange(first, false))
      accepted.type = part;
    else if (part.starts_with("as="))
      accepted.as = part.substr(3);
    else if (part.starts_with("v="))
      accepted.version = part.substr(2);
    else if (part.starts_with("g="))
      accepted.group = part.substr(2);
  });
  return accepted;
}

bool is_json(std::string_view type) { return type == "application/json" || type == "application/*" || type == "*/*"; }

}  // namespace

std::string_view event_name(EventType type) {
  switch (type) {
    case EventType::Added: return "ADDED";
    case EventType::Modified: return "MODIFIED";
    case EventType::Deleted: return "DELETED";
    case EventType::Bookmark: return "BOOKMARK";
  }
  return "ERROR";
}

Presentation::Presentation(const http::Request& request, const Kind& kind, const Clock& clock)
    : kind_(kind), clock_(clock), include_object_(request.query_or("includeObject", "Metadata")) {
  const auto header = request.header("accept");
  if (header.empty()) return;
  bool found = false;
  each_part(header, ',', [&](std::string_view range) {
    if (found) return;
    const Accepted accepted = parse_accepted(range);
    if (!is_json(accepted.type)) return;
    if (accepted.as.empty()) {
      found = true;
    } else if (accepted.group == "meta.k8s.io" && (accepted.version == "v1" || accepted.version == "v1beta1")) {
      if (accepted.as == "Table")
        form_ = Form::Table;
      else if (accepted.as.starts_with("PartialObjectMetadata"))
        form_ = Form::Metadata;
      else
        return;
      version_ = accepted.version;
      found = true;
    }
  });
  // Some clients ask for YAML or protobuf alone and take JSON; those that cannot say so are few.
  if (!found && header.find("protobuf") != std::string_view::npos && header.find(',') == std::string_view::npos) {
    throw StatusError(Code::InvalidArgument, 406, "NotAcceptable", "only application/json is served here");
  }
}

json::object Presentation::metadata_only(const json::object& object) const {
  json::object result{{"kind", "PartialObjectMetadata"}, {"apiVersion", "meta.k8s.io/" + version_}};
  if (const auto* metadata = object.if_contains("metadata")) result["metadata"] = *metadata;
  return result;
}

json::array Presentation::definitions() const {
  json::array definitions;
  auto add = [&](const Column& column) {
    definitions.push_back(json::object{{"name", column.name},
                                       {"type", column.type},
                                       {"format", column.format},
                                       {"description", column.description},
                                       {"priority", column.priority}});
  };
  Column name{.name = "Name", .description = "The name of the object", .cell = {}};
  name.format = "name";
  add(name);
  for (const auto& column : kind_.columns) add(column);
  add({.name = "Age", .description = "How long ago it was created", .cell = {}});
  return definitions;
}

json::object Presentation::row(const json::object& object) const {
  const Time now = clock_.now();
  json::array cells{json::value(name_of(object))};
  for (const auto& column : kind_.columns) cells.push_back(column.cell(object, now));
  const auto* metadata = find_object(object, "metadata");
  const auto created = parse_time(metadata ? get_string(*metadata, "creationTimestamp") : "");
  cells.push_back(json::value(created ? short_duration(std::chrono::duration_cast<std::chrono::seconds>(now - *created))
                                      : "<unknown>"));
  json::object row{{"cells", std::move(cells)}};
  if (include_object_ == "Object")
    row["object"] = object;
  else if (include_object_ != "None")
    row["object"] = metadata_only(object);
  return row;
}

json::object Presentation::table(std::span<const Object> objects, json::object metadata, bool with_definitions) const {
  json::array rows;
  for (const auto& object : objects) rows.push_back(row(*object));
  return {{"kind", "Table"},
          {"apiVersion", "meta.k8s.io/" + version_},
          {"metadata", std::move(metadata)},
          {"columnDefinitions", with_definitions ? definitions() : json::array()},
          {"rows", std::move(rows)}};
}

std::string Presentation::object_text(const json::object& object) const {
  if (form_ == Form::Whole) return to_text(object);
  if (form_ == Form::Metadata) return to_text(metadata_only(object));
  const Object copy = make_object(object);
  return to_text(table(std::span(&copy, 1), {{"resourceVersion", resource_version_of(object)}}, true));
}

std::string Presentation::list_text(const List& list) const {
  json::object metadata{{"resourceVersion", list.resource_version}};
  if (!list.continue_token.empty()) metadata["continue"] = list.continue_token;
  if (list.remaining > 0) metadata["remainingItemCount"] = list.remaining;
  if (form_ == Form::Table) return to_text(table(list.items, std::move(metadata), true));
  const bool whole = form_ == Form::Whole;
  std::string text = fmt::format(R"({{"kind":"{}List","apiVersion":"{}","metadata":{},"items":[)",
                                 whole ? kind_.resource.kind : "PartialObjectMetadata",
                                 whole ? kind_.resource.api_version() : "meta.k8s.io/" + version_, to_text(metadata));
  bool first = true;
  for (const auto& item : list.items) {
    if (!std::exchange(first, false)) text += ',';
    text += object_text(*item);
  }
  return text + "]}";
}

std::string Presentation::event_text(const WatchEvent& event) const {
  // A bookmark is no row; it is a Table without any.
  std::string object;
  if (event.type == EventType::Bookmark && form_ == Form::Table) {
    object = to_text(table({}, {{"resourceVersion", resource_version_of(*event.object)}}, false));
  } else {
    object = object_text(*event.object);
  }
  return fmt::format("{{\"type\":\"{}\",\"object\":{}}}\n", event_name(event.type), object);
}

}  // namespace penstock::kube
