// The interface through which everything reaches Kubernetes resources. Two implementations give the same behaviour: the
// embedded store (embedded.h) and, on a cluster, its API server. Objects are whole JSON values, so that fields which
// Penstock does not know survive.
//
// Every coroutine here may be awaited from any Loop; watches deliver on the awaiting executor.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/async.h"
#include "base/error.h"
#include "base/json.h"

namespace penstock::kube {

// A kind of resource: {"", "v1", "pods", "Pod", true}.
struct Resource {
  std::string group;  // "" for the core group
  std::string version;
  std::string plural;
  std::string kind;
  bool namespaced = true;

  std::string api_version() const { return group.empty() ? version : group + "/" + version; }
  bool operator==(const Resource&) const = default;
};

extern const Resource kNamespaces, kPods, kConfigMaps, kSecrets, kPersistentVolumeClaims, kEvents;

// Immutable once stored, therefore shared between the store, watchers and caches without copies.
using Object = std::shared_ptr<const json::object>;

inline Object make_object(json::object value) { return std::make_shared<const json::object>(std::move(value)); }

// Members of metadata; empty when absent.
std::string_view name_of(const json::object& object);
std::string_view namespace_of(const json::object& object);
std::string_view uid_of(const json::object& object);
std::string_view resource_version_of(const json::object& object);
std::string_view label_of(const json::object& object, std::string_view key);
bool is_deleting(const json::object& object);  // has a deletionTimestamp

struct ListQuery {
  std::string ns;              // empty: all namespaces
  std::string label_selector;  // "app=web,tier in (a,b),!canary"
  std::string field_selector;  // "status.phase=Running,metadata.name!=x"
  int64_t limit = 0;           // 0: all
  std::string continue_token;
};

struct List {
  std::vector<Object> items;
  std::string resource_version;
  std::string continue_token;  // empty on the last page
  int64_t remaining = 0;
};

enum class EventType { Added, Modified, Deleted, Bookmark };

struct WatchEvent {
  EventType type;
  Object object;
};

struct WatchQuery {
  std::string ns;
  std::string label_selector;
  std::string field_selector;
  // Events after this version. Empty: first an Added for each object that exists, then what follows.
  // Older than what is kept: throws OutOfRange ("Expired", HTTP 410): list again.
  std::string resource_version;
  bool bookmarks = false;
};

class Watch {
 public:
  virtual ~Watch() = default;  // ends the watch
  // Waits for the next event. Throws OutOfRange when the watcher fell too far behind: list and watch again.
  virtual Async<WatchEvent> next() = 0;
};

enum class Propagation { Background, Foreground, Orphan };

struct DeleteOptions {
  Propagation propagation = Propagation::Background;
  std::optional<int64_t> grace_period_seconds;  // pods; default: the pod's own
  std::string uid;                              // precondition
  std::string resource_version;                 // precondition
  bool dry_run = false;
  bool durable = true;  // as WriteOptions::durable
};

enum class PatchType { Json, Merge, Strategic, Apply };

struct WriteOptions {
  bool dry_run = false;
  // Wait until the change is synced to disk. Clients' requests do. A change that is not durable may be lost with the
  // server: it is for those who make the same change again when the server is back.
  bool durable = true;
  // Embedded store: what a created object gets as its uid, for a controller that makes an object again after a crash.
  std::string uid;
  std::string subresource;  // "", "status", "scale"
  // Embedded store: update() without a subresource replaces the status too. The node binds a pod and tells its first
  // status in one write this way.
  bool whole = false;
};

// Defaults are copies of named values: g++ 12 copies brace-made temporaries of a co_await bit by bit.
inline const WriteOptions kDefaultWrite;
inline const DeleteOptions kDefaultDelete;

// Errors: NotFound, AlreadyExists, Aborted (resourceVersion conflict), InvalidArgument (with the field),
// PermissionDenied.
class Api {
 public:
  virtual ~Api() = default;
  virtual Async<Object> get(const Resource& resource, std::string ns, std::string name) = 0;
  virtual Async<List> list(const Resource& resource, ListQuery query) = 0;
  virtual Async<Object> create(const Resource& resource, json::object object, WriteOptions options = kDefaultWrite) = 0;
  // Replaces. With a resourceVersion in the object it must be the current one.
  virtual Async<Object> update(const Resource& resource, json::object object, WriteOptions options = kDefaultWrite) = 0;
  virtual Async<Object> patch(const Resource& resource, std::string ns, std::string name, PatchType type,
                              json::value patch, WriteOptions options = kDefaultWrite) = 0;
  // Returns the object as it was last seen: still there, with a deletionTimestamp, when finalizers or a grace period
  // hold it.
  virtual Async<Object> remove(const Resource& resource, std::string ns, std::string name,
                               DeleteOptions options = kDefaultDelete) = 0;
  virtual Async<std::unique_ptr<Watch>> watch(const Resource& resource, WatchQuery query) = 0;
};

}  // namespace penstock::kube
