// Tests as data: a file under tests/engine says a pipeline, what its tasks come to, and the table that the run ends
// with. Its format is described in tests/engine/README.md.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "pipelines/engine/engine.h"

namespace penstock::engine::testing {

struct Case {
  std::string name;
  std::filesystem::path file;
  json::value spec;  // whole PipelineSpec, shorthand expanded
  json::value platform;
  json::object run;      // parameters, caching, max_in_flight, order, show
  json::object results;  // by path, with * for one segment
  std::string expected;  // the table, or "error: …"
};

Case read_case(const std::filesystem::path& file);
void write_expected(const Case& test, const std::string& expected);
json::value expand_spec(json::value shorthand);

// A shell for one run, without processes: answers commands with events out of the case's results.
class FakeShell {
 public:
  enum class Order { First, Random };

  FakeShell(const Case& test, std::shared_ptr<const ir::Pipeline> pipeline);

  // Runs to the end. With `crash`, the engine is thrown away and made again from its log after every event. Returns the
  // table.
  std::string play(Order order, unsigned seed, bool crash);

  size_t most_in_flight() const { return most_in_flight_; }
  const std::vector<Event>& log() const { return log_; }
  const std::vector<std::shared_ptr<const LaunchSpec>>& launched() const { return launched_; }
  const RunFinished& result() const { return result_; }
  const std::map<std::string, TaskRecord>& table() const { return table_; }

 private:
  struct Work {  // what the engine believes to be under way
    std::string kind;
    TaskId task = kNoTask;
    int attempt = 0;
    std::vector<Event> events;  // to be delivered, in this order
  };

  Engine make_engine() const;
  void carry_out(const std::vector<Command>& commands);
  void add(std::string kind, TaskId task, int attempt, std::vector<Event> events);
  std::vector<Event> answers(const Launch& launch);
  Outputs outputs_for(const json::object& result, const LaunchSpec& spec) const;
  const json::value* result_of(const std::string& path, int attempt) const;
  void check_resumed(const Engine& engine) const;
  std::string table_text() const;

  const Case& test_;
  std::shared_ptr<const ir::Pipeline> pipeline_;
  std::vector<Work> work_;
  std::vector<Event> log_;
  std::map<TaskId, std::string> paths_;
  std::map<std::string, TaskRecord> table_;
  std::vector<std::shared_ptr<const LaunchSpec>> launched_;
  RunFinished result_;
  bool done_ = false;
  bool cancel_ = false;
  size_t most_in_flight_ = 0;
};

}  // namespace penstock::engine::testing
