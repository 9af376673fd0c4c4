// What the verbs mean: the rules of the embedded store, as Kubernetes has them. Pure state on the control loop: no
// thread, disk or socket. Also deletes what must go by itself (dependents of owners that are gone, the content of
// namespaces), in small steps.
#pragma once

#include <unordered_set>

#include "kube/store.h"

namespace penstock::kube {

class Resources {
 public:
  Resources(const Kinds& kinds, Clock& clock, Store::Limits limits) : store_(kinds, limits), clock_(clock) {}

  Store& store() { return store_; }

  // Throw as Api says. With dry_run, what would be stored is returned and nothing changes.
  Object create(Table& table, json::object object, const WriteOptions& options);
  Object update(Table& table, json::object object, const WriteOptions& options);
  Object patch(Table& table, std::string_view ns, std::string_view name, PatchType type, const json::value& patch,
               const WriteOptions& options);
  Object remove(Table& table, std::string_view ns, std::string_view name, const DeleteOptions& options);

  // Once all objects are loaded: finds what has to be collected, and makes the namespaces that are always there.
  void begin();

  // Whether collect() has something to do.
  bool has_garbage() const { return !garbage_.empty(); }
  // Looks after at most `steps` objects.
  void collect(int steps);
  // Deletes the events that last happened before `limit`.
  void expire_events(Time limit);

 private:
  Entry& existing(Table& table, std::string_view ns, std::string_view name);
  void check_namespace(const Kind& kind, std::string_view ns);
  json::object prepare_new(const Kind& kind, json::object object);
  Object change(Entry& entry, json::object next, const WriteOptions& options);
  Object change_status(Entry& entry, const json::value* status, bool dry_run);
  json::object patched_status(const Entry& entry, PatchType type, const json::value& patch);
  Object settle(Entry& entry, json::object next);
  void check_preconditions(const Entry& entry, std::string_view uid, std::string_view version);

  Object remove_namespace(Entry& entry);
  Object mark_deleted(Entry& entry, int64_t grace, bool foreground);
  void orphan_dependents(Entry& entry);
  Object drop(Entry& entry);
  bool owner_is_there(const json::object& reference, const json::object& dependent, bool& foreground);
  void look_after(const std::string& uid, int& steps);
  void empty_namespace(Entry& entry, int& steps);
  void look_after_foreground(Entry& entry);
  void look_after_owners(Entry& entry);
  void add_garbage(std::string_view uid);

  Store store_;
  Clock& clock_;
  std::deque<std::string> garbage_;              // uids to look after, in order
  std::unordered_set<std::string> garbage_set_;  // the same
  int64_t stamp_second_ = -1;                    // creationTimestamps are equal for a second
  std::string stamp_text_;
};

}  // namespace penstock::kube
