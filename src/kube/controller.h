// The reconcile loop that every controller is made of: a cache of the objects it cares for, kept by list and watch; a
// queue of the keys whose state may not be as wanted; and one function that looks at a key and acts.
//
// All of it lives on one executor, on which the reconcile function runs too. Nothing here knows which Api it is on.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>

#include "kube/api.h"

namespace penstock::kube {

// "namespace/name", or the name alone of what has no namespace.
std::string key_of(const json::object& object);
std::pair<std::string, std::string> split_key(std::string_view key);  // namespace, name

// The key of the object's controlling owner when that is of this kind; empty otherwise.
std::string owner_key(const json::object& object, const Resource& owner);

// Keys waiting to be looked at. A key waits once however often it is added; one that is added while it is being looked
// at waits again afterwards, and is never looked at twice at once.
class WorkQueue {
 public:
  struct Backoff {
    std::chrono::milliseconds first{5};
    std::chrono::milliseconds most{60'000};
  };
  explicit WorkQueue(Executor executor);
  WorkQueue(Executor executor, Backoff backoff);

  void add(const std::string& key);
  void add_after(const std::string& key, std::chrono::nanoseconds delay);
  // Later each time, until forget().
  void add_after_failure(const std::string& key);
  void forget(const std::string& key) { failures_.erase(key); }
  // Waits for a key; done() must follow.
  Async<std::string> next();
  void done(const std::string& key);

  bool idle() const { return queue_.empty() && working_.empty(); }
  size_t size() const { return queue_.size(); }

 private:
  void arm();

  const Backoff backoff_;
  std::deque<std::string> queue_;
  std::set<std::string> waiting_, working_, again_;
  std::map<std::string, int> failures_;
  std::multimap<std::chrono::steady_clock::time_point, std::string> later_;
  Signal ready_;
  // Shared with its handler, which may be on its way when the queue goes.
  std::shared_ptr<Timer> timer_;
};

// A cache of one resource. Reconnects by itself, with a fresh list when the watch cannot be resumed.
class Informer {
 public:
  // `before` is null for an object that is new, `now` for one that is gone.
  using OnChange = std::function<void(const Object& before, const Object& now)>;

  Informer(Executor executor, Api& api, Resource resource, ListQuery filter = {});
  void on_change(OnChange handler) { handlers_.push_back(std::move(handler)); }

  // Until it is cancelled.
  Async<> run();
  // Returns when the first list is in the cache.
  Async<> synced() { return synced_.wait(); }

  Object get(std::string_view key) const;  // null when there is none
  const std::map<std::string, Object, std::less<>>& objects() const { return objects_; }

 private:
  Async<std::string> relist();
  Async<> follow(std::string& version);
  void apply(const WatchEvent& event);
  void tell(const Object& before, const Object& now);

  Api& api_;
  const Resource resource_;
  const ListQuery filter_;
  std::map<std::string, Object, std::less<>> objects_;
  std::vector<OnChange> handlers_;
  Signal synced_;
};

class Controller {
 public:
  // When to look at the key again though nothing changed; empty: when something does.
  using Again = std::optional<std::chrono::nanoseconds>;
  // What it throws is logged, and the key is looked at again, later each time. It must bear being called at any
  // moment, for objects that are gone as well.
  using Reconcile = std::function<Async<Again>(std::string key)>;
  // The key to look at when the object changed; empty: none.
  using KeyOf = std::function<std::string(const json::object& object)>;

  // `workers` keys are looked at side by side.
  Controller(Executor executor, Api& api, std::string name, Reconcile reconcile, int workers = 1);

  // Looks at keys as objects of this resource change. Before start(). The cache lives as long as the controller.
  Informer& watch(Resource resource, KeyOf key = key_of, ListQuery filter = {});
  WorkQueue& queue() { return queue_; }

  void start();
  // Ends what is under way, and returns when all of it has ended.
  Async<> stop();

 private:
  Async<> work();

  const Executor executor_;
  Api& api_;
  const std::string name_;
  const Reconcile reconcile_;
  const int workers_;
  WorkQueue queue_;
  std::vector<std::unique_ptr<Informer>> informers_;
  Scope scope_;
};

}  // namespace penstock::kube
