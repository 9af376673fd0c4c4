// What the server knows of each kind of resource: one entry of a table gives storage, REST paths, discovery, defaults,
// checks and the columns that kubectl shows.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "kube/api.h"

namespace penstock::kube {

class Causes;

// A column of `kubectl get`.
struct Column {
  std::string name;
  std::string type = "string";
  std::string description;
  int priority = 0;  // above 0: only with -o wide
  std::function<json::value(const json::object& object, Time now)> cell;
  std::string format = {};
};

struct Kind {
  Resource resource;
  std::string singular;
  std::vector<std::string> short_names = {};
  std::vector<std::string> categories = {};
  bool status_subresource = false;
  bool tracks_generation = false;                   // metadata.generation counts changes of spec
  bool label_name = false;                          // names are DNS labels, not subdomains
  bool strategic = true;                            // takes strategic merge patches (not so for custom resources)
  std::vector<std::string> selectable_fields = {};  // beside metadata.name and metadata.namespace

  // All optional. `set_defaults` also fills the status that a new object has.
  std::function<void(json::object& object)> set_defaults = {};
  std::function<void(const json::object& object, Causes& causes)> validate = {};
  std::function<void(const json::object& before, const json::object& now, Causes& causes)> validate_update = {};
  std::vector<Column> columns = {};  // besides NAME and AGE
};

// The kinds that a server serves. Entries stay where they are, so that others may point to them.
class Kinds {
 public:
  // Throws AlreadyExists.
  const Kind& add(Kind kind);
  const Kind* find(std::string_view group, std::string_view version, std::string_view plural) const;
  const Kind* find_kind(std::string_view api_version, std::string_view kind) const;
  const std::deque<Kind>& all() const { return kinds_; }

 private:
  std::deque<Kind> kinds_;
};

// Namespaces, Pods, ConfigMaps, Secrets, PersistentVolumeClaims and Events.
Kinds core_kinds();

// As kubectl shows an age: "45s", "3m12s", "5h", "2d".
std::string short_duration(std::chrono::seconds duration);

}  // namespace penstock::kube
