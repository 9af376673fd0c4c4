#include "kube/events.h"

#include "base/clock.h"

namespace penstock::kube {

namespace {

constexpr size_t kMaxMessage = 1024;

// The same occurrence has the same name, so that it is found again without a search.
std::string event_name(const json::object& object, std::string_view type, std::string_view reason,
                       std::string_view message) {
  const std::string hash =
      sha256_hex(fmt::format("{}\n{}\n{}\n{}", uid_of(object), type, reason, message)).substr(0, 16);
  return std::string(name_of(object).substr(0, 230)) + "." + hash;
}

json::object new_event(const json::object& object, std::string_view ns, std::string_view name, std::string_view type,
                       std::string_view reason, std::string_view message, std::string_view component,
                       std::string_view now) {
  return {{"apiVersion", "v1"},
          {"kind", "Event"},
          {"metadata", json::object{{"name", name}, {"namespace", ns}}},
          {"involvedObject", json::object{{"kind", get_string(object, "kind")},
                                          {"namespace", namespace_of(object)},
                                          {"name", name_of(object)},
                                          {"uid", uid_of(object)},
                                          {"apiVersion", get_string(object, "apiVersion")},
                                          {"resourceVersion", resource_version_of(object)}}},
          {"reason", reason},
          {"message", message},
          {"source", json::object{{"component", component}}},
          {"firstTimestamp", now},
          {"lastTimestamp", now},
          {"count", 1},
          {"type", type},
          {"eventTime", nullptr},
          {"reportingComponent", component},
          {"reportingInstance", ""}};
}

// Adds to the count of an event that is there; false when it is not.
Async<bool> count_again(Api& api, std::string ns, std::string name, std::string now) {
  WriteOptions relaxed;
  relaxed.durable = false;
  try {
    const Object known = co_await api.get(kEvents, ns, name);
    json::value patch = json::object{{"count", get_int(*known, "count", 1) + 1}, {"lastTimestamp", now}};
    co_await api.patch(kEvents, ns, name, PatchType::Merge, std::move(patch), relaxed);
    co_return true;
  } catch (const Error& error) {
    if (error.code() != Code::NotFound) throw;
  }
  co_return false;
}

}  // namespace

Async<> record_event(Api& api, Object object, std::string type, std::string reason, std::string message,
                     std::string component) {
  if (message.size() > kMaxMessage) message = message.substr(0, kMaxMessage - 3) + "...";
  const std::string ns = namespace_of(*object).empty() ? "default" : std::string(namespace_of(*object));
  const std::string name = event_name(*object, type, reason, message);
  const std::string now = format_time(SystemClock().now());
  try {
    const bool counted = co_await count_again(api, ns, name, now);
    if (counted) co_return;
    json::object event = new_event(*object, ns, name, type, reason, message, component, now);
    if (namespace_of(*object).empty()) event["involvedObject"].as_object().erase("namespace");
    WriteOptions relaxed;
    relaxed.durable = false;
    co_await api.create(kEvents, std::move(event), relaxed);
  } catch (const Error& error) {
    spdlog::debug("the event {} of {} was not recorded: {}", reason, name_of(*object), error.message());
  }
}

}  // namespace penstock::kube
