// A small kube::Api in memory for the node's tests: one executor, no validation, graceful deletion of bound pods.
#pragma once

#include <deque>
#include <list>
#include <map>
#include <tuple>

#include "base/clock.h"
#include "kube/api.h"

namespace penstock::node {

class FakeApi : public kube::Api {
 public:
  explicit FakeApi(Executor executor) : executor_(executor) {}

  using Key = std::tuple<std::string, std::string, std::string>;  // plural, namespace, name

  Async<kube::Object> get(const kube::Resource& resource, std::string ns, std::string name) override {
    co_return existing(resource, ns, name);
  }

  Async<kube::List> list(const kube::Resource& resource, kube::ListQuery query) override {
    kube::List list;
    for (const auto& [key, object] : objects_) {
      if (std::get<0>(key) == resource.plural && (query.ns.empty() || std::get<1>(key) == query.ns)) {
        list.items.push_back(object);
      }
    }
    list.resource_version = std::to_string(version_);
    co_return list;
  }

  Async<kube::Object> create(const kube::Resource& resource, json::object object, kube::WriteOptions) override {
    auto& metadata = object["metadata"].get_object();
    if (!metadata.contains("namespace")) metadata["namespace"] = "default";
    if (!metadata.contains("uid")) metadata["uid"] = new_uuid();
    if (!metadata.contains("creationTimestamp")) metadata["creationTimestamp"] = format_time(SystemClock().now());
    const Key key = key_of(resource, object);
    if (objects_.contains(key)) throw Error(Code::AlreadyExists, std::get<2>(key) + " exists");
    co_return store(key, std::move(object), kube::EventType::Added);
  }

  Async<kube::Object> update(const kube::Resource& resource, json::object object, kube::WriteOptions options) override {
    const Key key = key_of(resource, object);
    const auto before = existing(resource, std::get<1>(key), std::get<2>(key));
    if (fail_updates > 0) {
      --fail_updates;
      throw Error(Code::Aborted, "the object was changed meanwhile");
    }
    const auto version = kube::resource_version_of(object);
    if (!version.empty() && version != kube::resource_version_of(*before)) {
      throw Error(Code::Aborted, "the object was changed meanwhile");
    }
    if (options.subresource == "status") {
      auto next = *before;
      next["status"] = object["status"];
      object = std::move(next);
    }
    ++updates;
    co_return store(key, std::move(object), kube::EventType::Modified);
  }

  Async<kube::Object> patch(const kube::Resource&, std::string, std::string, kube::PatchType, json::value,
                            kube::WriteOptions) override {
    throw Error(Code::Unimplemented, "patch");
    co_return nullptr;
  }

  Async<kube::Object> remove(const kube::Resource& resource, std::string ns, std::string name,
                             kube::DeleteOptions options) override {
    const auto before = existing(resource, ns, name);
    const Key key{resource.plural, ns, name};
    const auto phase = string_at(*before, "status", "phase");
    const auto grace = options.grace_period_seconds.value_or(30);
    const bool held = resource.plural == "pods" && grace > 0 && !string_at(*before, "spec", "nodeName").empty() &&
                      phase != "Succeeded" && phase != "Failed";
    if (held) {
      auto object = *before;
      auto& metadata = object["metadata"].get_object();
      metadata["deletionTimestamp"] = format_time(SystemClock().now());
      metadata["deletionGracePeriodSeconds"] = grace;
      co_return store(key, std::move(object), kube::EventType::Modified);
    }
    objects_.erase(key);
    auto object = *before;
    object["metadata"].get_object()["resourceVersion"] = std::to_string(++version_);
    announce(resource.plural, {kube::EventType::Deleted, kube::make_object(std::move(object))});
    co_return before;
  }

  Async<std::unique_ptr<kube::Watch>> watch(const kube::Resource& resource, kube::WatchQuery query) override {
    auto watch = std::make_unique<FakeWatch>(*this, resource.plural);
    if (query.resource_version.empty()) {
      for (const auto& [key, object] : objects_) {
        if (std::get<0>(key) == resource.plural) watch->push({kube::EventType::Added, object});
      }
    }
    co_return watch;
  }

  kube::Object find(const kube::Resource& resource, const std::string& name, const std::string& ns = "default") const {
    const auto found = objects_.find(Key{resource.plural, ns, name});
    return found == objects_.end() ? nullptr : found->second;
  }
  std::vector<kube::Object> all(const kube::Resource& resource) const {
    std::vector<kube::Object> objects;
    for (const auto& [key, object] : objects_) {
      if (std::get<0>(key) == resource.plural) objects.push_back(object);
    }
    return objects;
  }
  // Called after every change.
  void set_observer(std::function<void()> observer) { observer_ = std::move(observer); }

  int updates = 0;
  int fail_updates = 0;  // that many updates are answered with a conflict

 private:
  class FakeWatch : public kube::Watch {
   public:
    FakeWatch(FakeApi& api, std::string plural) : api_(api), plural_(std::move(plural)), ready_(api.executor_) {
      api_.watches_.push_back(this);
    }
    ~FakeWatch() override { api_.watches_.remove(this); }
    void push(kube::WatchEvent event) {
      events_.push_back(std::move(event));
      ready_.set();
    }
    Async<kube::WatchEvent> next() override {
      while (events_.empty()) {
        ready_.reset();
        co_await ready_.wait();
      }
      auto event = std::move(events_.front());
      events_.pop_front();
      co_return event;
    }
    const std::string& plural() const { return plural_; }

   private:
    FakeApi& api_;
    std::string plural_;
    Signal ready_;
    std::deque<kube::WatchEvent> events_;
  };

  static std::string string_at(const json::object& object, std::string_view first, std::string_view second) {
    const auto* inner = find_object(object, first);
    return inner ? get_string(*inner, second) : std::string();
  }
  static Key key_of(const kube::Resource& resource, const json::object& object) {
    return {resource.plural, std::string(kube::namespace_of(object)), std::string(kube::name_of(object))};
  }
  kube::Object existing(const kube::Resource& resource, const std::string& ns, const std::string& name) const {
    const auto found = objects_.find(Key{resource.plural, ns, name});
    if (found == objects_.end()) throw not_found("{} \"{}\" not found", resource.plural, name);
    return found->second;
  }
  kube::Object store(const Key& key, json::object object, kube::EventType type) {
    object["metadata"].get_object()["resourceVersion"] = std::to_string(++version_);
    auto stored = kube::make_object(std::move(object));
    objects_[key] = stored;
    announce(std::get<0>(key), {type, stored});
    return stored;
  }
  void announce(const std::string& plural, const kube::WatchEvent& event) {
    for (auto* watch : watches_) {
      if (watch->plural() == plural) watch->push(event);
    }
    if (observer_) observer_();
  }

  Executor executor_;
  std::function<void()> observer_;
  uint64_t version_ = 0;
  std::map<Key, kube::Object> objects_;
  std::list<FakeWatch*> watches_;
};

}  // namespace penstock::node
