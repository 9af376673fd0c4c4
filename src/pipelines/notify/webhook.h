// Tells a URL of every change of a run's state.
//
// A change is noted in the transaction that makes it, by a trigger of the database, and the note stays until the
// receiver has answered with a 2xx status: each change is told at least once, in order, also across a crash. A receiver
// that fails is asked again after 1 s, then after twice as long each time, up to 5 minutes; after a day a note is
// dropped and that is logged.
//
//   POST <url>
//   Content-Type: application/json
//   X-Penstock-Event: run.state_changed
//   X-Penstock-Delivery: <the note's id: the same when it is sent again>
//   X-Penstock-Signature: sha256=<HMAC-SHA-256 of the body under the secret, in hexadecimal>     (with a secret only)
//
//   {"event", "delivery", "time", "run_id", "state", and of a run that still is there: "display_name", "experiment_id",
//    "pipeline_id", "pipeline_version_id", "recurring_run_id", "created_at", "finished_at", "error": {"code",
//    "message"}}
#pragma once

#include <chrono>
#include <string>

#include "base/async.h"
#include "base/clock.h"
#include "pipelines/store/store.h"

namespace penstock::pipelines {

struct WebhookOptions {
  std::string url;  // http:// or https://; empty: nobody is told
  std::string secret;
  std::chrono::seconds first_pause{1};
  std::chrono::seconds longest_pause{300};
  std::chrono::hours give_up_after{24};
};

class WebhookNotifier {
 public:
  // Lives on `control`. Throws InvalidArgument for a URL that is none.
  WebhookNotifier(Loop& control, Store& store, const Clock& clock, WebhookOptions options);

  // Begins to note changes, or ends it when there is no URL, and tells what an earlier server did not come to tell.
  // Before runs change.
  Async<> start();
  Async<> stop();
  // A run's state may have changed. From any thread.
  void changed();

 private:
  Async<> run();
  // False when the receiver did not take it.
  Async<bool> deliver(store::RunChange note);

  Loop& control_;
  Store& store_;
  const Clock& clock_;
  const WebhookOptions options_;
  BlockingPool pool_;  // of its own: a receiver may be slow
  Scope scope_;
  Signal wake_;
};

}  // namespace penstock::pipelines
