#include "pipelines/api/retention.h"

#include <spdlog/spdlog.h>

#include "pipelines/api/delete_run.h"

namespace penstock::pipelines {

Retention::Retention(Loop& control, const ApiContext& context, const Clock& clock, RetentionOptions options)
    : context_(context), clock_(clock), options_(options), scope_(control.executor(), "retention") {}

void Retention::start() {
  if (options_.archive_after.count() > 0 || options_.delete_after.count() > 0) {
    scope_.spawn([this] { return run(); });
  }
}

Async<> Retention::stop() { co_await scope_.stop(); }

Async<> Retention::run() {
  auto shorter = std::max(options_.archive_after, options_.delete_after);
  for (const auto time : {options_.archive_after, options_.delete_after}) {
    if (time.count() > 0) shorter = std::min(shorter, time);
  }
  const auto pause = std::clamp<std::chrono::seconds>(shorter / 10, std::chrono::seconds(1), std::chrono::hours(1));
  while (true) {
    try {
      co_await tick();
    } catch (const Error& error) {
      spdlog::error("retention: {}", error.message());
    }
    co_await sleep_for(pause);
  }
}

Async<> Retention::tick() {
  int64_t archived = 0, deleted = 0;
  if (options_.archive_after.count() > 0) {
    while (true) {
      const auto count = co_await context_.store.archive_runs(clock_.now() - options_.archive_after, options_.batch);
      archived += count;
      if (count < options_.batch) break;
    }
  }
  if (options_.delete_after.count() > 0) {
    while (true) {
      const auto old = co_await context_.store.archived_runs(clock_.now() - options_.delete_after, options_.batch);
      for (const auto& run : old) co_await api::delete_run(context_, run, true);
      deleted += static_cast<int64_t>(old.size());
      if (static_cast<int64_t>(old.size()) < options_.batch) break;
    }
  }
  if (archived > 0 || deleted > 0) spdlog::info("retention: {} runs archived, {} deleted", archived, deleted);
}

}  // namespace penstock::pipelines
