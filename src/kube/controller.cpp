#include "kube/controller.h"

#include <algorithm>

namespace penstock::kube {

namespace {

constexpr std::chrono::seconds kReconnect{1};

}  // namespace

std::string key_of(const json::object& object) {
  const auto ns = namespace_of(object);
  return ns.empty() ? std::string(name_of(object)) : fmt::format("{}/{}", ns, name_of(object));
}

std::pair<std::string, std::string> split_key(std::string_view key) {
  const size_t slash = key.find('/');
  if (slash == std::string_view::npos) return {"", std::string(key)};
  return {std::string(key.substr(0, slash)), std::string(key.substr(slash + 1))};
}

std::string owner_key(const json::object& object, const Resource& owner) {
  const auto* metadata = find_object(object, "metadata");
  const auto* references = metadata ? find_array(*metadata, "ownerReferences") : nullptr;
  if (references == nullptr) return {};
  for (const auto& item : *references) {
    const auto* reference = item.if_object();
    if (reference == nullptr || !get_bool(*reference, "controller") || get_string(*reference, "kind") != owner.kind ||
        get_string(*reference, "apiVersion") != owner.api_version()) {
      continue;
    }
    const std::string name = get_string(*reference, "name");
    return owner.namespaced ? fmt::format("{}/{}", namespace_of(object), name) : name;
  }
  return {};
}

WorkQueue::WorkQueue(Executor executor) : WorkQueue(executor, Backoff()) {}

WorkQueue::WorkQueue(Executor executor, Backoff backoff)
    : backoff_(backoff), ready_(executor), timer_(std::make_shared<Timer>(executor)) {}

void WorkQueue::add(const std::string& key) {
  if (working_.contains(key)) {
    again_.insert(key);
    return;
  }
  if (!waiting_.insert(key).second) return;
  queue_.push_back(key);
  ready_.set();
}

void WorkQueue::add_after(const std::string& key, std::chrono::nanoseconds delay) {
  if (delay <= std::chrono::nanoseconds(0)) return add(key);
  const auto when = std::chrono::steady_clock::now() + delay;
  const bool first = later_.empty() || when < later_.begin()->first;
  later_.emplace(when, key);
  if (first) arm();
}

void WorkQueue::add_after_failure(const std::string& key) {
  const int times = std::min(failures_[key]++, 20);
  add_after(key, std::min<std::chrono::milliseconds>(backoff_.most, backoff_.first * (1LL << times)));
}

void WorkQueue::arm() {
  timer_->expires_at(later_.begin()->first);
  timer_->async_wait([this, alive = std::weak_ptr(timer_)](const boost::system::error_code& error) {
    if (error || alive.expired()) return;
    const auto now = std::chrono::steady_clock::now();
    while (!later_.empty() && later_.begin()->first <= now) {
      add(later_.begin()->second);
      later_.erase(later_.begin());
    }
    if (!later_.empty()) arm();
  });
}

Async<std::string> WorkQueue::next() {
  while (queue_.empty()) {
    ready_.reset();
    co_await ready_.wait();
  }
  std::string key = std::move(queue_.front());
  queue_.pop_front();
  waiting_.erase(key);
  working_.insert(key);
  co_return key;
}

void WorkQueue::done(const std::string& key) {
  working_.erase(key);
  if (again_.erase(key) > 0) add(key);
}

Informer::Informer(Executor executor, Api& api, Resource resource, ListQuery filter)
    : api_(api), resource_(std::move(resource)), filter_(std::move(filter)), synced_(executor) {}

Object Informer::get(std::string_view key) const {
  const auto at = objects_.find(key);
  return at == objects_.end() ? nullptr : at->second;
}

void Informer::tell(const Object& before, const Object& now) {
  for (const auto& handler : handlers_) handler(before, now);
}

void Informer::apply(const WatchEvent& event) {
  if (event.type == EventType::Bookmark) return;
  const std::string key = key_of(*event.object);
  Object before = get(key);
  if (event.type == EventType::Deleted) {
    objects_.erase(key);
    tell(before ? before : event.object, nullptr);
  } else {
    objects_[key] = event.object;
    tell(before, event.object);
  }
}

// Brings the cache to what there is now; returns the version to watch from.
Async<std::string> Informer::relist() {
  List list = co_await api_.list(resource_, filter_);
  std::set<std::string> present;
  for (const auto& object : list.items) {
    std::string key = key_of(*object);
    const Object before = get(key);
    present.insert(key);
    if (before != nullptr && resource_version_of(*before) == resource_version_of(*object)) continue;
    objects_[std::move(key)] = object;
    tell(before, object);
  }
  std::vector<Object> gone;
  for (const auto& [key, object] : objects_) {
    if (!present.contains(key)) gone.push_back(object);
  }
  for (const auto& object : gone) {
    objects_.erase(key_of(*object));
    tell(object, nullptr);
  }
  synced_.set();
  co_return list.resource_version;
}

Async<> Informer::follow(std::string& version) {
  WatchQuery query{.ns = filter_.ns,
                   .label_selector = filter_.label_selector,
                   .field_selector = filter_.field_selector,
                   .resource_version = version,
                   .bookmarks = true};
  const auto watch = co_await api_.watch(resource_, std::move(query));
  while (true) {
    const WatchEvent event = co_await watch->next();
    version = resource_version_of(*event.object);
    apply(event);
  }
}

Async<> Informer::run() {
  std::string version;
  while (true) {
    bool wait = false;
    try {
      if (version.empty()) version = co_await relist();
      co_await follow(version);
    } catch (const Error& error) {
      // Too old a version: list again. Anything else: the server is away, try from where we were.
      if (error.code() == Code::OutOfRange) {
        version.clear();
      } else {
        spdlog::warn("watching {}: {}", resource_.plural, error.message());
        wait = true;
      }
    }
    if (wait) co_await sleep_for(kReconnect);
  }
}

Controller::Controller(Executor executor, Api& api, std::string name, Reconcile reconcile, int workers)
    : executor_(executor),
      api_(api),
      name_(std::move(name)),
      reconcile_(std::move(reconcile)),
      workers_(workers),
      queue_(executor),
      scope_(executor, name_) {}

Informer& Controller::watch(Resource resource, KeyOf key, ListQuery filter) {
  informers_.push_back(std::make_unique<Informer>(executor_, api_, std::move(resource), std::move(filter)));
  informers_.back()->on_change([this, key = std::move(key)](const Object& before, const Object& now) {
    // An object that changes hands concerns both.
    const std::string old_key = before ? key(*before) : std::string();
    const std::string new_key = now ? key(*now) : std::string();
    if (!old_key.empty()) queue_.add(old_key);
    if (!new_key.empty()) queue_.add(new_key);
  });
  return *informers_.back();
}

void Controller::start() {
  for (const auto& informer : informers_) {
    scope_.spawn([each = informer.get()] { return each->run(); });
  }
  for (int i = 0; i < workers_; ++i) scope_.spawn([this] { return work(); });
}

Async<> Controller::stop() { return scope_.stop(); }

Async<> Controller::work() {
  // Nobody acts on half of what is there.
  for (const auto& informer : informers_) co_await informer->synced();
  while (true) {
    const std::string key = co_await queue_.next();
    try {
      const Again again = co_await reconcile_(key);
      queue_.forget(key);
      if (again) queue_.add_after(key, *again);
    } catch (const Error& error) {
      // A conflict says that the cache is behind: its event is on its way.
      if (error.code() != Code::Aborted) spdlog::warn("{}: {}: {}", name_, key, error.message());
      queue_.add_after_failure(key);
    } catch (const boost::system::system_error& error) {
      if (error.code() == asio::error::operation_aborted) throw;
      spdlog::warn("{}: {}: {}", name_, key, error.what());
      queue_.add_after_failure(key);
    } catch (const std::exception& error) {
      spdlog::error("{}: {}: {}", name_, key, error.what());
      queue_.add_after_failure(key);
    }
    queue_.done(key);
  }
}

}  // namespace penstock::kube
