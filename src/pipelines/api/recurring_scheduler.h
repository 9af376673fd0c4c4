// Makes the runs of recurring runs when they are due.
//
// What is due follows from the clock and from what the database says of the last fire, so that a server that was down
// makes up for what was missed, as each recurring run wants it. A run's id follows from the recurring run and its
// number: none is made twice. Lives on the control loop.
#pragma once

#include <map>
#include <string>

#include "base/async.h"
#include "base/clock.h"
#include "pipelines/api/api.h"

namespace penstock::pipelines {

class RecurringScheduler : public RecurringControl {
 public:
  // `zone`: of cron expressions that name none. Throws InvalidArgument when there is none of that name.
  RecurringScheduler(Loop& control, const ApiContext& context, const Clock& clock, std::string zone = "UTC");

  void start();
  Async<> stop();
  void changed() override;                                                                 // from any thread
  std::vector<Time> upcoming(const RecurringRun& recurring, size_t count) const override;  // from any thread
  // A run of it came to its end: one that waits for that may be made.
  void run_ended(const std::string& recurring_run_id);

  // Makes every run that is due now and may be made. start() does so whenever it is time; tests that move a FakeClock
  // call it. Returns when the next is due; none: nothing will be.
  Async<std::optional<Time>> tick();

 private:
  Async<> run();
  // False when its limit of concurrent runs is reached.
  Async<bool> fire(RecurringRun& recurring, Time scheduled);

  Loop& control_;
  ApiContext context_;
  const Clock& clock_;
  const std::string zone_;
  Scope scope_;
  Signal wake_;
};

}  // namespace penstock::pipelines
