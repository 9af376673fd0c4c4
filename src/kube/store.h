// The objects in memory, with what finds them: by name, by uid, by owner; the recent past for watches that resume; and
// the watches. Knows nothing of meaning (resources.h does), nor of the disk: it notes the rows that changed, and its
// owner writes them. Lives on the control loop.
#pragma once

#include <map>
#include <unordered_map>

#include "kube/watcher.h"

namespace penstock::kube {

struct KeyView {
  std::string_view ns, name;
};

struct ObjectKey {
  std::string ns, name;
  operator KeyView() const { return {ns, name}; }
};

struct KeyLess {
  using is_transparent = void;
  bool operator()(const KeyView& a, const KeyView& b) const {
    const int order = a.ns.compare(b.ns);
    return order != 0 ? order < 0 : a.name < b.name;
  }
};

struct Table;

// A stored object. Stays at its address until it is erased.
struct Entry {
  Table* table = nullptr;
  int64_t row = 0;  // its key in the database: the version at which it was created
  Object object;
};

struct Table {
  const Kind* kind = nullptr;
  std::map<ObjectKey, Entry, KeyLess> objects;
  std::vector<std::shared_ptr<Watcher>> watchers;  // shared with whoever watches
};

// A row to be written: `now` is null when the object is gone, `before` when it is new.
struct RowChange {
  int64_t row;
  Table* table;
  Object before, now;
};

class Store {
 public:
  struct Limits {
    size_t history = 128;  // events kept for watches that resume
  };
  Store(const Kinds& kinds, Limits limits);

  // Throws NotFound for a resource that is not served.
  Table& table(const Resource& resource);
  Table* find_table(std::string_view api_version, std::string_view kind);
  std::deque<Table>& tables() { return tables_; }
  Entry* find(Table& table, std::string_view ns, std::string_view name);
  Entry* find_uid(std::string_view uid);
  std::vector<Entry*> dependents(std::string_view uid);

  // Each gives the object the next version, tells the watches and notes the row. `object` is complete otherwise.
  Entry& insert(Table& table, json::object object);
  Object replace(Entry& entry, json::object object);
  Object erase(Entry& entry);  // returns the object as it was last seen
  // Notes the row as changed though it is not, so that it is written again.
  void touch(Entry& entry) { changes_.push_back({entry.row, entry.table, entry.object, entry.object}); }

  std::vector<RowChange> take_changes() { return std::exchange(changes_, {}); }
  // Undoes a change whose row could not be written, unless the object has changed again since.
  void revert(const RowChange& change);

  // At start-up, before anything else.
  void load(Table& table, int64_t row, Object object);
  void set_version(uint64_t version);

  uint64_t version() const { return version_; }
  std::string version_text() const { return std::to_string(version_); }
  List list(Table& table, const ListQuery& query);
  std::shared_ptr<Watcher> watch(Table& table, const WatchQuery& query);
  void send_bookmarks();

 private:
  struct Past {
    uint64_t version;
    Table* table;
    EventType type;
    Object before, now;
  };

  void stamp(json::object& object);
  void announce(Table& table, EventType type, Object before, Object now);
  void index(Entry& entry);
  void unindex(Entry& entry);
  void replay(Table& table, uint64_t after, Watcher& watcher);

  const Limits limits_;
  std::deque<Table> tables_;
  std::unordered_map<std::string, Entry*> by_uid_;
  std::unordered_map<std::string, std::vector<Entry*>> by_owner_;
  std::deque<Past> past_;
  uint64_t forgotten_ = 0;  // events up to this version are not in past_
  uint64_t version_ = 0;
  std::vector<RowChange> changes_;
};

}  // namespace penstock::kube
