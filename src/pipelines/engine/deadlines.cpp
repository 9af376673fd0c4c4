// Dags that end before their tasks have: those that take too long; and daemons, which end with what needs them.
#include "pipelines/argo/template.h"
#include "pipelines/engine/machine.h"
#include "pipelines/engine/texts.h"

namespace penstock::engine {

bool Machine::stopped(const Instance& instance) const {
  if (state_.canceling) return true;
  if (state_.stopping == 0) return false;
  for (const Instance* at = &instance;; at = &state_.at(at->parent)) {
    if (at->stopping) return true;
    if (at->parent == kNoTask) return false;
  }
}

void Machine::watch_deadline(Instance& dag) {
  std::optional<double> shortest;
  for (const auto& text : dag.component->dag->deadlines) {
    std::string reason;
    const Value value = text_value({state_, dag}, text, reason);
    const auto seconds = value ? argo::duration_seconds(ir::text_of(*value)) : std::nullopt;
    if (!seconds) throw invalid("its deadline {} is no duration", value ? to_text(*value) : reason);
    if (!shortest || *seconds < *shortest) shortest = seconds;
  }
  if (!shortest) return;
  dag.delay = std::chrono::milliseconds(static_cast<int64_t>(*shortest * 1000));
  state_.commands.emplace_back(SetTimer{dag.id, dag.attempt, {}, dag.started + dag.delay});
}

void Machine::look_at_deadline(Instance& dag) {
  if (!dag.dag || dag.component->dag->deadlines.empty() || stopped(dag)) return;
  const Time until = dag.started + dag.delay;
  if (state_.now < until) {  // a timer of another kind, or a clock that was set back
    if (dag.id != 0) state_.commands.emplace_back(SetTimer{dag.id, dag.attempt, {}, until});
    return;
  }
  dag.stopping = true;
  ++state_.stopping;
  dag.dag->failed = true;
  dag.dag->error = {1, fmt::format("DeadlineExceeded: it has taken longer than {} s", dag.delay.count() / 1000.0),
                    false};
  stop_inside(dag);
}

// Inner tasks have higher numbers: a dag that waits for nothing more ends by itself when they have.
void Machine::stop_inside(Instance& dag) {
  for (size_t i = state_.instances.size(); i-- > static_cast<size_t>(dag.id);) {
    Instance* instance = state_.instances[i].get();
    if (instance == nullptr) continue;
    const Instance* at = instance;
    while (at != &dag && at->parent != kNoTask && at->id > dag.id) at = &state_.at(at->parent);
    if (at == &dag) cancel(*instance);
  }
}

// What waits for it need not wait any longer.
void Machine::daemon_started(Instance& leaf, const Event& event) {
  Instance& dag = state_.at(leaf.parent);
  if (!dag.dag) return;
  const auto* address = event.outputs.parameters.if_contains("ip");
  leaf.address = address != nullptr ? ir::text_of(*address) : "127.0.0.1";
  Slot& slot = dag.dag->slots[static_cast<size_t>(leaf.task->index)];
  if (slot.daemoned) return;
  slot.daemoned = true;
  ++dag.dag->daemons;
  for (const int down : leaf.task->downstream) {
    Slot& waiting = dag.dag->slots[static_cast<size_t>(down)];
    if (--waiting.waiting == 0 && waiting.outcome == Outcome::Open) start_task(dag, down);
  }
  release_daemons(dag);
}

// When nothing else of their dag is left.
void Machine::release_daemons(Instance& dag) {
  if (dag.dag->daemons == 0 || dag.dag->daemons != dag.dag->unsettled) return;
  for (const Slot& slot : dag.dag->slots) {
    if (!slot.daemoned || slot.outcome != Outcome::Running) continue;
    Instance& daemon = state_.at(slot.child);
    if (std::exchange(daemon.released, true)) continue;
    if (daemon.phase == Phase::Launched) {
      state_.commands.emplace_back(CancelTask{daemon.id, daemon.attempt});
    } else if (daemon.phase == Phase::Queued || daemon.phase == Phase::Timer) {  // to be started again
      finish(daemon, TaskState::Succeeded);
    }
  }
}

}  // namespace penstock::engine
