// Cron expressions: their times come in order, and next() and last() agree.
#include "base/fuzz.h"
#include "pipelines/schedule/cron.h"

using namespace penstock;
using namespace penstock::pipelines;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::taken([&] {
    const Cron cron(fuzz::text(data, size));
    // An hour before a change to summer time in many places.
    const Time start = *parse_time("2026-03-29T00:00:00Z");
    Time at = start;
    for (int i = 0; i < 5; ++i) {
      const auto next = cron.next(at);
      if (!next) return;
      CHECK_INVARIANT(*next > at);
      const auto last = cron.last(start, *next);
      CHECK_INVARIANT(last && *last == *next);
      at = *next;
    }
  });
  return 0;
}
