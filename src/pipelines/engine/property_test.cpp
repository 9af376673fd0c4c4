// Random dags with random failures, retries, cancellations and crashes end as the oracle says, and run each task as
// often as it says. PENSTOCK_PROPERTY_SEED plays one case again, PENSTOCK_PROPERTY_CASES more of them.
#include <cstdlib>

#include <doctest/doctest.h>

#include "base/error.h"
#include "pipelines/engine/engine.h"
#include "pipelines/engine/random_run_test.h"

namespace penstock::engine::testing {

namespace {

// One run: the engine, and what is under way at each moment, answered in any order.
class RandomRun {
 public:
  explicit RandomRun(uint64_t seed)
      : random_(seed * 7919 + 1), plan_(seed), expected_(expect(plan_)), pipeline_(ir::from_json(plan_.spec())) {
    if (chance(25)) cancel_after_ = static_cast<int>(random_() % 40);
    timeout_ = chance(30);
    crash_percent_ = chance(50) ? 10 : 0;
    engine_ = std::make_unique<Engine>(make_engine());
  }

  void play() {
    deliver(Event::run_started({}));
    while (!finished_) {
      if (cancel_after_-- == 0) {
        canceled_ = true;
        deliver(timeout_ ? Event::cancel_requested({}, 1, "too late") : Event::cancel_requested({}));
        continue;
      }
      REQUIRE_FALSE(work_.empty());  // otherwise the run waits for nothing, for ever
      const size_t at = random_() % work_.size();
      const Event event = next_event(work_[at]);
      if (work_[at].events.empty()) work_.erase(work_.begin() + static_cast<ptrdiff_t>(at));
      deliver(event);
      if (!finished_ && chance(10)) deliver(event);  // events may come twice
      if (!finished_ && chance(crash_percent_)) crash();
    }
    check_end();
  }

 private:
  struct Work {
    std::string kind;  // "launch", "import", "check", "timer 500", "cancel"
    TaskId task;
    int attempt;
    std::vector<Event> events;
  };

  bool chance(int of_hundred) { return static_cast<int>(random_() % 100) < of_hundred; }

  Engine make_engine() const {
    RunInfo info;
    info.run_id = "run-1";
    info.pipeline_root = "s3://bucket";
    info.max_in_flight = plan_.max_in_flight();
    return Engine(pipeline_, info, {});
  }

  Event next_event(Work& work) {
    Event event = std::move(work.events.front());
    work.events.erase(work.events.begin());
    return event;
  }

  void deliver(Event event) {
    // Whoever saw it has a clock of his own.
    event.time = (now_ += std::chrono::seconds(1)) - std::chrono::seconds(random_() % 5);
    log_.push_back(event_from_json(to_json(event)));
    for (const Command& command : engine_->step(event)) carry_out(command);
    // Timers and cancellations take no room on the machine.
    const auto in_flight = std::count_if(work_.begin(), work_.end(), [](const Work& work) {
      return work.kind == "launch" || work.kind == "import" || work.kind == "check";
    });
    CHECK(in_flight <= plan_.max_in_flight());
  }

  std::string key(TaskId task, int attempt) const { return fmt::format("{}#{}", paths_.at(task), attempt); }

  // Counts what must happen once at most.
  void count(std::map<std::string, int>& counts, const std::string& what, const std::map<std::string, bool>& allowed) {
    CHECK_MESSAGE(allowed.contains(what), what);
    CHECK_MESSAGE(++counts[what] == 1, what);
    CHECK_FALSE(canceled_);
  }

  void add(std::string kind, TaskId task, int attempt, std::vector<Event> events) {
    work_.push_back({std::move(kind), task, attempt, std::move(events)});
  }

  static Outputs outputs_of(const Answer& answer) { return {{{"Output", answer.output}}, {}}; }

  std::vector<Event> answers(TaskId task, int attempt, bool import) const {
    const Answer answer = plan_.answer(paths_.at(task), attempt);
    const bool retriable = answer.kind == Answer::Kind::Fails;
    std::vector<Event> events;
    if (import && answer.kind == Answer::Kind::Succeeds) {
      events.push_back(Event::import_finished(task, attempt, {}, Outputs{{}, {{"artifact", json::array()}}}));
    } else if (import) {
      events.push_back(Event::import_failed(task, attempt, {}, 1, "refused", retriable));
    } else {
      if (answer.kind == Answer::Kind::Fails) {
        events.push_back(Event::task_waiting(task, attempt, {}, "no secret"));
      }
      events.push_back(Event::task_started(task, attempt, {}));
      events.push_back(answer.kind == Answer::Kind::Succeeds
                           ? Event::task_succeeded(task, attempt, {}, outputs_of(answer))
                           : Event::task_failed(task, attempt, {}, 1, "broken", retriable));
    }
    return events;
  }

  void carry_out(const Command& command) {
    REQUIRE_FALSE(finished_);
    if (const auto* changed = std::get_if<TaskChanged>(&command)) {
      note(*changed->record);
    } else if (const auto* launch = std::get_if<Launch>(&command)) {
      count(launches_, key(launch->task, launch->attempt), expected_.launches);
      add("launch", launch->task, launch->attempt, answers(launch->task, launch->attempt, false));
    } else if (const auto* import = std::get_if<Import>(&command)) {
      count(imports_, key(import->task, import->attempt), expected_.imports);
      add("import", import->task, import->attempt, answers(import->task, import->attempt, true));
    } else if (const auto* check = std::get_if<CheckCache>(&command)) {
      count(checks_, key(check->task, check->attempt), expected_.checks);
      const Answer answer = plan_.answer(paths_.at(check->task), check->attempt);
      add("check", check->task, check->attempt,
          {answer.cached ? Event::cache_hit(check->task, check->attempt, {}, outputs_of(answer), "earlier")
                         : Event::cache_miss(check->task, check->attempt, {})});
    } else if (const auto* timer = std::get_if<SetTimer>(&command)) {
      const auto wanted = expected_.delays.find(key(timer->task, timer->attempt));
      REQUIRE(wanted != expected_.delays.end());
      CHECK(timer->delay.count() == wanted->second);
      add(fmt::format("timer {}", timer->delay.count()), timer->task, timer->attempt,
          {Event::timer_fired(timer->task, timer->attempt, {})});
    } else if (const auto* cancel = std::get_if<CancelTask>(&command)) {
      // It may come to its own end first.
      Event end = Event::task_canceled(cancel->task, cancel->attempt, {});
      if (chance(20)) end = answers(cancel->task, cancel->attempt, false).back();
      std::erase_if(work_, [&](const Work& work) { return work.task == cancel->task; });
      add("cancel", cancel->task, cancel->attempt, {std::move(end)});
    } else if (const auto* finished = std::get_if<RunFinished>(&command)) {
      result_ = *finished;
      finished_ = true;
    }
  }

  void note(const TaskRecord& record) {
    const auto known = table_.find(record.path);
    if (known != table_.end() && known->second.state == TaskState::Running) --running_[parent_of(record.path)];
    paths_[record.task] = record.path;
    check_times(record);
    table_[record.path] = record;
    if (record.state != TaskState::Running) return;
    const std::string parent = parent_of(record.path);
    const int running = ++running_[parent];
    const size_t attempt = parent.rfind('@');
    const bool retried = attempt != std::string::npos && parent.find('/', attempt) == std::string::npos;
    const auto limit = expected_.parallel.find(retried ? parent.substr(0, attempt) : parent);
    if (limit != expected_.parallel.end()) CHECK(running <= limit->second);
  }

  // No state begins before the one before it, and no task before the one that it belongs to.
  void check_times(const TaskRecord& record) const {
    CHECK(record.change_time >= record.create_time);
    if (record.start_time != Time{}) CHECK(record.start_time >= record.create_time);
    if (record.end_time != Time{}) CHECK(record.end_time == record.change_time);
    if (record.end_time != Time{}) CHECK(record.end_time >= record.start_time);
    if (record.state == TaskState::Running) CHECK(record.start_time <= record.change_time);
    CHECK((record.waiting.empty() || record.state == TaskState::Pending));
    const auto known = table_.find(record.path);
    if (known != table_.end()) CHECK(record.change_time >= known->second.change_time);
    const auto parent = paths_.find(record.parent);
    if (parent != paths_.end()) CHECK(record.create_time >= table_.at(parent->second).start_time);
  }

  static std::string parent_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? std::string() : path.substr(0, slash);
  }

  // The engine is gone. A new one reads the log, and asks for exactly what is under way.
  void crash() {
    engine_ = std::make_unique<Engine>(make_engine());
    std::map<std::string, std::string> again;
    for (const Event& event : log_) {
      for (const Command& command : engine_->step(event)) {
        if (const auto* changed = std::get_if<TaskChanged>(&command)) {
          again[changed->record->path] = to_text(to_json(*changed->record));
        }
      }
    }
    CHECK(again.size() == table_.size());
    for (const auto& [path, record] : table_) CHECK(again[path] == to_text(to_json(record)));
    std::multiset<std::string> under_way, asked;
    for (const Work& work : work_) under_way.insert(fmt::format("{} {} {}", work.kind, work.task, work.attempt));
    for (const Command& command : engine_->resume_commands()) {
      std::visit(
          [&](const auto& one) {
            using T = std::decay_t<decltype(one)>;
            std::string kind;
            if constexpr (std::is_same_v<T, Launch>) kind = "launch";
            if constexpr (std::is_same_v<T, Import>) kind = "import";
            if constexpr (std::is_same_v<T, CheckCache>) kind = "check";
            if constexpr (std::is_same_v<T, CancelTask>) kind = "cancel";
            if constexpr (std::is_same_v<T, SetTimer>) kind = fmt::format("timer {}", one.delay.count());
            if constexpr (requires { one.attempt; }) asked.insert(fmt::format("{} {} {}", kind, one.task, one.attempt));
          },
          command);
    }
    if (canceled_) {
      std::erase_if(work_, [](const Work& work) { return work.kind != "cancel"; });
      under_way.clear();
      for (const Work& work : work_) under_way.insert(fmt::format("{} {} {}", work.kind, work.task, work.attempt));
    }
    CHECK(under_way == asked);
  }

  void check_counts(const std::map<std::string, int>& counts, const std::map<std::string, bool>& wanted) const {
    for (const auto& entry : wanted) {
      if (entry.second) CHECK_MESSAGE(counts.contains(entry.first), entry.first);
    }
  }

  void check_end() const {
    for (const auto& entry : table_) {
      const TaskRecord& record = entry.second;
      CHECK_MESSAGE((record.state != TaskState::Pending && record.state != TaskState::Running), record.path);
      CHECK(record.end_time != Time{});
      const auto parent = paths_.find(record.parent);
      if (parent != paths_.end()) CHECK(table_.at(parent->second).end_time >= record.end_time);
    }
    CHECK(result_.time == table_.at("root").end_time);
    if (canceled_) {
      CHECK(result_.state == (timeout_ ? TaskState::Failed : TaskState::Canceled));
      CHECK(result_.error.message == (timeout_ ? "too late" : ""));
      return;
    }
    CHECK(name_of(result_.state) == name_of(expected_.run));
    CHECK(result_.error.message.empty() == (expected_.run == TaskState::Succeeded));
    check_counts(launches_, expected_.launches);
    check_counts(imports_, expected_.imports);
    check_counts(checks_, expected_.checks);
    for (const auto& entry : expected_.tasks) check_task(entry.first, entry.second);
    for (const auto& entry : table_) {
      CHECK_MESSAGE((entry.first == "root" || expected_.tasks.contains(entry.first)), entry.first);
    }
  }

  void check_task(const std::string& path, const Expected::Task& task) const {
    const auto record = table_.find(path);
    if (task.certain) REQUIRE_MESSAGE(record != table_.end(), path);
    if (record == table_.end()) return;
    const TaskState state = record->second.state;
    const bool skipped = !task.certain && state == TaskState::Skipped;
    CHECK_MESSAGE((state == task.state || skipped), path, " is ", name_of(state), ", not ", name_of(task.state));
  }

  std::mt19937_64 random_;
  Plan plan_;
  Expected expected_;
  std::shared_ptr<const ir::Pipeline> pipeline_;
  std::unique_ptr<Engine> engine_;
  int cancel_after_ = -1;
  bool timeout_ = false, canceled_ = false, finished_ = false;
  int crash_percent_ = 0;
  Time now_ = *parse_time("2026-01-02T03:04:05Z");
  std::vector<Event> log_;
  std::vector<Work> work_;
  std::map<TaskId, std::string> paths_;
  std::map<std::string, TaskRecord> table_;
  std::map<std::string, int> running_;  // children in the state RUNNING, by path
  std::map<std::string, int> launches_, imports_, checks_;
  RunFinished result_;
};

uint64_t number_from(const char* name, uint64_t fallback) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : fallback;
}

}  // namespace

TEST_CASE("random runs end as they must, whatever happens on the way") {
  const uint64_t only = number_from("PENSTOCK_PROPERTY_SEED", 0);
  const uint64_t cases = number_from("PENSTOCK_PROPERTY_CASES", 4000);
  for (uint64_t seed = only > 0 ? only : 1; seed <= (only > 0 ? only : cases); ++seed) {
    INFO("PENSTOCK_PROPERTY_SEED=", seed);
    RandomRun(seed).play();
  }
}

}  // namespace penstock::engine::testing
