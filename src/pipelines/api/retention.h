// Archives runs that ended long ago, and deletes archived ones with their artifacts and logs.
#pragma once

#include <chrono>

#include "base/async.h"
#include "base/clock.h"
#include "pipelines/api/api.h"

namespace penstock::pipelines {

struct RetentionOptions {
  std::chrono::seconds archive_after{0};  // since a run's end; 0: never
  std::chrono::seconds delete_after{0};   // of an archived run, since its end; 0: never
  int64_t batch = 100;                    // runs at a time, so that others get their turn at the database
};

class Retention {
 public:
  Retention(Loop& control, const ApiContext& context, const Clock& clock, RetentionOptions options);

  void start();
  Async<> stop();
  // Does what is due now. start() does so at once, then again after a tenth of the shorter time, between one second and
  // an hour; tests that move a FakeClock call it.
  Async<> tick();

 private:
  Async<> run();

  ApiContext context_;
  const Clock& clock_;
  const RetentionOptions options_;
  Scope scope_;
};

}  // namespace penstock::pipelines
