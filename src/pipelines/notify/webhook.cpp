#include "pipelines/notify/webhook.h"

#include <spdlog/spdlog.h>

#include "base/error.h"
#include "http/client.h"

namespace penstock::pipelines {

namespace {

constexpr std::chrono::seconds kTimeout{5};
constexpr int kBatch = 100;

json::object body_of(const store::RunChange& note) {
  json::object body{{"event", "run.state_changed"},
                    {"delivery", note.delivery},
                    {"time", format_time(note.at, true)},
                    {"run_id", note.run_id},
                    {"state", note.state}};
  if (!note.run) return body;
  const Run& run = *note.run;
  body["display_name"] = run.display_name;
  body["experiment_id"] = run.experiment_id;
  const auto& reference = run.pipeline_version_reference;
  if (!reference.pipeline_id.empty()) body["pipeline_id"] = reference.pipeline_id;
  if (!reference.pipeline_version_id.empty()) body["pipeline_version_id"] = reference.pipeline_version_id;
  if (!run.recurring_run_id.empty()) body["recurring_run_id"] = run.recurring_run_id;
  body["created_at"] = format_time(run.created_at, true);
  // Of the run as it is now; it may have gone on since the note was made.
  if (note.state == to_string(run.state)) {
    if (run.finished_at != Time{}) body["finished_at"] = format_time(run.finished_at, true);
    if (!run.error.empty()) body["error"] = {{"code", run.error.code}, {"message", run.error.message}};
  }
  return body;
}

}  // namespace

WebhookNotifier::WebhookNotifier(Loop& control, Store& store, const Clock& clock, WebhookOptions options)
    : control_(control),
      store_(store),
      clock_(clock),
      options_(std::move(options)),
      pool_(1),
      scope_(control.executor(), "webhook"),
      wake_(control.executor()) {
  const auto& url = options_.url;
  if (!url.empty() && !url.starts_with("http://") && !url.starts_with("https://")) {
    throw Error(Code::InvalidArgument, fmt::format("the webhook \"{}\" is no http:// or https:// URL", url), "webhook");
  }
}

Async<> WebhookNotifier::start() {
  co_await store_.record_run_changes(!options_.url.empty());
  if (!options_.url.empty()) scope_.spawn([this] { return run(); });
}

Async<> WebhookNotifier::stop() { co_await scope_.stop(); }

void WebhookNotifier::changed() {
  if (options_.url.empty()) return;
  control_.post([this] { wake_.set(); });
}

Async<> WebhookNotifier::run() {
  auto pause = options_.first_pause;
  while (true) {
    wake_.reset();
    const auto notes = co_await store_.run_changes(kBatch);
    bool failed = false;
    for (const auto& note : notes) {
      const bool taken = co_await deliver(note);
      const bool too_old = !taken && clock_.now() - note.at > options_.give_up_after;
      if (too_old) spdlog::warn("webhook: run {} was {}: nobody could be told", note.run_id, note.state);
      failed = !taken && !too_old;
      if (failed) break;
      co_await store_.drop_run_change(note.seq);
      pause = options_.first_pause;
    }
    if (failed) {
      co_await sleep_for(pause);
      pause = std::min(pause * 2, options_.longest_pause);
    } else if (notes.empty()) {
      co_await wake_.wait();
    }
  }
}

Async<bool> WebhookNotifier::deliver(store::RunChange note) {
  http::ClientRequest request;
  request.method = "POST";
  request.url = options_.url;
  request.timeout = kTimeout;
  request.body = to_text(body_of(note));
  request.headers = {{"Content-Type", "application/json"},
                     {"X-Penstock-Event", "run.state_changed"},
                     {"X-Penstock-Delivery", note.delivery}};
  if (!options_.secret.empty()) {
    request.headers.emplace_back("X-Penstock-Signature", "sha256=" + hmac_sha256_hex(options_.secret, request.body));
  }
  std::string problem;
  try {
    const auto send = [&request] { return http::fetch(request); };
    const auto response = co_await pool_.run(send);
    if (response.status < 200 || response.status > 299) problem = fmt::format("status {}", response.status);
  } catch (const Error& error) {
    problem = error.message();
  }
  if (!problem.empty())
    spdlog::warn("webhook: the change of run {} to {} was not taken: {}", note.run_id, note.state, problem);
  co_return problem.empty();
}

}  // namespace penstock::pipelines
