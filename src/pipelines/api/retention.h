// Archives and deletes runs that have ended, with their artifacts and logs, as the rules of retention say: those that
// clients have made, and the two of the program's own options.
//
// Nothing that something which stays refers to goes (metadata/references.h): such an artifact stays though its run
// goes. Each run goes in a transaction of its own, so that a sweep may be ended anywhere: the next one goes on.
#pragma once

#include <chrono>

#include "base/async.h"
#include "base/clock.h"
#include "pipelines/api/api.h"

namespace penstock::pipelines {

struct RetentionOptions {
  std::chrono::seconds archive_after{0};  // since a run's end; 0: never
  std::chrono::seconds delete_after{0};   // of an archived run, since its end; 0: never
};

class Retention : public RetentionControl {
 public:
  Retention(Loop& control, const ApiContext& context, const Clock& clock, RetentionOptions options);

  void start();
  Async<> stop();
  // Does what is due now. start() does so at once, then again after a tenth of the shortest time in a rule, between one
  // second and ten minutes, and a while after a rule has changed; tests that move a FakeClock call it.
  Async<> tick();

  Async<json::object> dry_run(std::optional<std::vector<RetentionRule>> rules) override;
  Async<json::object> sweep() override;
  void changed() override;

 private:
  struct Swept {
    int64_t archived = 0, deleted = 0, bytes = 0;
  };
  Async<> run();
  Async<Swept> do_sweep();
  Async<std::vector<RetentionRule>> all_rules();
  Async<std::chrono::seconds> pause();

  Loop& control_;
  ApiContext context_;
  const Clock& clock_;
  const RetentionOptions options_;
  Scope scope_;
  Signal changed_;
  bool sweeping_ = false;  // one at a time
  Signal idle_;
};

}  // namespace penstock::pipelines
