#include "server/feed.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "base/clock.h"
#include "base/error.h"

namespace penstock::server {

namespace {

struct KindName {
  Change::Kind kind;
  std::string_view name;
  std::string_view topic;
};
constexpr KindName kKinds[] = {{Change::Kind::Run, "run", "runs"},
                               {Change::Kind::Task, "task", "tasks"},
                               {Change::Kind::Pipeline, "pipeline", "pipelines"},
                               {Change::Kind::Version, "version", "pipelines"},
                               {Change::Kind::Experiment, "experiment", "experiments"},
                               {Change::Kind::RecurringRun, "recurringrun", "recurringruns"},
                               {Change::Kind::Artifact, "artifact", "artifacts"},
                               {Change::Kind::Pod, "pod", "pods"},
                               {Change::Kind::Event, "event", "events"}};

}  // namespace

std::string_view to_string(Change::Kind kind) { return kKinds[static_cast<size_t>(kind)].name; }

ChangeFilter::ChangeFilter(std::string_view topics, std::string ns) : ns_(std::move(ns)) {
  if (topics.empty()) kinds_.fill(true);
  constexpr std::string_view kRun = "run:";
  while (!topics.empty()) {
    const size_t comma = std::min(topics.find(','), topics.size());
    const auto topic = topics.substr(0, comma);
    topics.remove_prefix(std::min(comma + 1, topics.size()));
    if (topic.starts_with(kRun) && topic.size() > kRun.size()) {
      runs_.emplace(topic.substr(kRun.size()));
      continue;
    }
    bool known = false;
    for (const auto& kind : kKinds) {
      if (topic != kind.topic) continue;
      kinds_[static_cast<size_t>(kind.kind)] = true;
      known = true;
    }
    if (!known) {
      throw Error(Code::InvalidArgument,
                  fmt::format("topics: {:?} is none of runs, tasks, pipelines, experiments, recurringruns, artifacts, "
                              "pods, events and run:ID",
                              topic.substr(0, 100)),
                  "topics");
    }
  }
}

bool ChangeFilter::wants(const Change& change) const {
  if (!ns_.empty() && !change.ns.empty() && change.ns != ns_) return false;
  if (kinds_[static_cast<size_t>(change.kind)]) return true;
  return !runs_.empty() &&
         (runs_.contains(change.parent) || (change.kind == Change::Kind::Run && runs_.contains(change.id)));
}

struct Feed::Reader::State {
  State(const ChangeFilter& f, Executor e) : filter(f), executor(e), ready(e) {}
  const ChangeFilter filter;
  const Executor executor;
  Signal ready;                   // lives on the executor
  std::atomic<bool> told = true;  // nothing wakes it until it is armed
  std::atomic<uint64_t> quiet_until = 0;
};

Feed::Feed(size_t kept) : name_(random_suffix(8)), kept_(kept) {}

void Feed::publish(std::vector<Change> changes) {
  if (changes.empty()) return;
  std::vector<std::shared_ptr<Reader::State>> woken;
  {
    std::lock_guard lock(mutex_);
    for (const auto& reader : waiting_) {
      if (reader->told) continue;
      const auto wanted = [&](const Change& change) { return reader->filter.wants(change); };
      if (std::ranges::any_of(changes, wanted)) {
        reader->quiet_until = newest_;
        reader->told = true;
        woken.push_back(reader);
      } else {
        reader->quiet_until = newest_ + changes.size();
      }
    }
    for (auto& change : changes) {
      change.version = ++newest_;
      ring_.push_back(std::move(change));
    }
    while (ring_.size() > kept_) ring_.pop_front();
  }
  for (const auto& reader : woken) {
    asio::post(reader->executor, [reader] { reader->ready.set(); });
  }
}

std::string Feed::place(uint64_t version) const { return fmt::format("{}-{}", name_, version); }

std::optional<uint64_t> Feed::version_of(std::string_view place) const {
  if (!place.starts_with(name_) || place.size() < name_.size() + 2 || place[name_.size()] != '-') return std::nullopt;
  place.remove_prefix(name_.size() + 1);
  uint64_t version = 0;
  const auto [end, error] = std::from_chars(place.data(), place.data() + place.size(), version);
  if (error != std::errc{} || end != place.data() + place.size() || version > newest()) return std::nullopt;
  return version;
}

uint64_t Feed::newest() const {
  std::lock_guard lock(mutex_);
  return newest_;
}

Feed::News Feed::after(uint64_t version, const ChangeFilter& filter) const {
  News news;
  std::lock_guard lock(mutex_);
  news.newest = newest_;
  const uint64_t oldest = newest_ - ring_.size();  // the version before the first that is kept
  if (version < oldest) {
    news.lost = true;
    return news;
  }
  // From the newest back, so that of each object the last change is taken.
  std::set<std::tuple<Change::Kind, std::string_view, std::string_view>> seen;
  for (size_t at = ring_.size(); at > version - oldest; --at) {
    const Change& change = ring_[at - 1];
    if (!filter.wants(change)) continue;
    const std::string_view scope = change.kind == Change::Kind::Task ? change.parent : change.ns;
    if (seen.emplace(change.kind, scope, change.id).second) news.changes.push_back(change);
  }
  std::ranges::reverse(news.changes);
  return news;
}

void Feed::wake_all() {
  for (const auto& reader : waiting_) {
    asio::post(reader->executor, [reader] { reader->ready.set(); });
  }
}

void Feed::lose() {
  std::lock_guard lock(mutex_);
  ring_.clear();
  ++newest_;
  wake_all();
}

void Feed::close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  wake_all();
}

size_t Feed::readers() const {
  std::lock_guard lock(mutex_);
  return waiting_.size();
}

Feed::Reader::Reader(Feed& feed, const ChangeFilter& filter, Executor executor)
    : feed_(feed), state_(std::make_shared<State>(filter, executor)) {
  std::lock_guard lock(feed_.mutex_);
  feed_.waiting_.insert(state_);
}

Feed::Reader::~Reader() {
  std::lock_guard lock(feed_.mutex_);
  feed_.waiting_.erase(state_);
}

void Feed::Reader::arm() {
  state_->ready.reset();
  state_->told = false;
}

uint64_t Feed::Reader::quiet_until() const { return state_->quiet_until; }

Async<bool> Feed::Reader::wait_for(std::chrono::milliseconds timeout) {
  if (feed_.closed()) co_return true;
  co_return co_await state_->ready.wait_for(timeout);
}

}  // namespace penstock::server
