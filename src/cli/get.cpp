#include <cstdio>

#include "base/error.h"
#include "cli/commands.h"
#include "http/message.h"

namespace penstock::cli {

namespace {

std::string at(const json::value& value, std::initializer_list<std::string_view> path) {
  return printable(string_at(value, path));
}

void show(const json::array& items, const char* key, Format format, const std::vector<std::string>& header,
          const std::function<std::vector<std::string>(const json::value&)>& row) {
  if (format != Format::Table) {
    print(json::object{{key, items}}, format);
    return;
  }
  Rows rows;
  for (const auto& item : items) rows.push_back(row(item));
  std::fputs(table(header, rows, terminal_width()).c_str(), stdout);
}

// A value as one short line.
std::string brief(const json::value& value) {
  std::string text = value.is_string() ? to_std(value.get_string()) : to_text(value);
  text = printable(text);
  if (text.size() > 100) text = text.substr(0, 97) + "...";
  return text;
}

std::string outputs_of(const json::value& task) {
  std::string text;
  auto add = [&](const std::string& part) { text += (text.empty() ? "" : "  ") + part; };
  if (const auto* parameters = find_path(task, {"outputs", "parameters"}); parameters && parameters->is_array()) {
    for (const auto& parameter : parameters->get_array()) {
      const auto* value = find(parameter, "value");
      add(string_at(parameter, {"parameter_key"}) + "=" + (value ? brief(*value) : ""));
    }
  }
  if (const auto* artifacts = find_path(task, {"outputs", "artifacts"}); artifacts && artifacts->is_array()) {
    for (const auto& entry : artifacts->get_array()) {
      const auto* list = find(entry, "artifacts");
      if (list == nullptr || !list->is_array()) continue;
      for (const auto& artifact : list->get_array()) {
        add(string_at(entry, {"artifact_key"}) + "=" + printable(string_at(artifact, {"uri"})));
      }
    }
  }
  return text;
}

int get_runs(const Client& client, Format format) {
  const auto runs = client.list("/apis/v2beta1/runs?sort_by=created_at%20desc", "runs");
  show(runs, "runs", format, {"RUN", "NAME", "STATE", "CREATED", "DURATION"}, [](const json::value& run) {
    return std::vector<std::string>{at(run, {"run_id"}), at(run, {"display_name"}), at(run, {"state"}),
                                    at(run, {"created_at"}),
                                    duration_text(string_at(run, {"created_at"}), string_at(run, {"finished_at"}))};
  });
  return 0;
}

int get_pods(const Client& client, Format format) {
  const auto list = client.get("/api/v1/pods");
  if (format != Format::Table) {
    print(list, format);
    return 0;
  }
  Rows rows;
  for (const auto& pod : list.at("items").as_array()) {
    rows.push_back({at(pod, {"metadata", "namespace"}), at(pod, {"metadata", "name"}), at(pod, {"status", "phase"}),
                    at(pod, {"metadata", "creationTimestamp"})});
  }
  std::fputs(table({"NAMESPACE", "NAME", "PHASE", "CREATED"}, rows, terminal_width()).c_str(), stdout);
  return 0;
}

}  // namespace

void print_run(const Client& client, const json::value& run) {
  const auto id = string_at(run, {"run_id"});
  std::printf("run %s  %s  %s  %s\n", printable(string_at(run, {"display_name"})).c_str(), id.c_str(),
              string_at(run, {"state"}).c_str(),
              duration_text(string_at(run, {"created_at"}), string_at(run, {"finished_at"})).c_str());
  Rows rows;
  json::array failed, pending;
  for (const auto& task : client.list("/apis/v2beta1/runs/" + id + "/tasks", "tasks")) {
    const auto type = string_at(task, {"type"});
    if (type == "ROOT") continue;
    std::string name = string_at(task, {"display_name"}, string_at(task, {"name"}));
    if (const auto path = string_at(task, {"scope_path"}); !path.empty()) {
      // A path of plain names is told whole; dots of the API's lists are slashes to a person.
      name = path.starts_with("root/") ? path.substr(5) : path;
    }
    rows.push_back({printable(name), string_at(task, {"state"}),
                    duration_text(string_at(task, {"start_time"}), string_at(task, {"end_time"})), outputs_of(task)});
    if (string_at(task, {"state"}) == "FAILED") failed.push_back(task);
    if (string_at(task, {"state"}) == "PENDING") pending.push_back(task);
  }
  std::fputs(table({"TASK", "STATE", "TIME", "OUTPUTS"}, rows).c_str(), stdout);
  for (const auto& task : pending) {
    const auto message = string_at(task, {"status_metadata", "message"});
    if (message.empty()) continue;
    std::printf("\n%s is pending: %s\n",
                printable(string_at(task, {"display_name"}, string_at(task, {"name"}))).c_str(),
                printable(message).c_str());
  }
  for (const auto& task : failed) {
    const auto message = string_at(task, {"status_metadata", "message"});
    const auto type = string_at(task, {"type"});
    if (message.empty() || (type != "RUNTIME" && type != "IMPORTER")) continue;
    std::printf("\n%s failed: ", printable(string_at(task, {"display_name"}, string_at(task, {"name"}))).c_str());
    size_t begin = 0;
    while (begin <= message.size()) {
      const size_t end = std::min(message.find('\n', begin), message.size());
      std::printf("%s\n", printable(std::string_view(message).substr(begin, end - begin)).c_str());
      begin = end + 1;
    }
  }
}

int get(const Client& client, const std::string& what, const std::string& name, Format format) {
  if (what == "runs") return get_runs(client, format);
  if (what == "run") {
    if (name.empty()) throw invalid("say which run: penstock get run ID");
    const auto run = client.find_run(name);
    if (format == Format::Table) {
      print_run(client, run);
    } else {
      print(run, format);
    }
    return 0;
  }
  if (what == "pipelines") {
    const auto pipelines = client.list("/apis/v2beta1/pipelines?sort_by=created_at%20desc", "pipelines");
    show(pipelines, "pipelines", format, {"PIPELINE", "NAME", "CREATED", "DESCRIPTION"}, [](const json::value& p) {
      return std::vector<std::string>{at(p, {"pipeline_id"}), at(p, {"display_name"}), at(p, {"created_at"}),
                                      at(p, {"description"})};
    });
    return 0;
  }
  if (what == "experiments") {
    const auto experiments = client.list("/apis/v2beta1/experiments?sort_by=created_at%20desc", "experiments");
    show(experiments, "experiments", format, {"EXPERIMENT", "NAME", "STATE", "CREATED"}, [](const json::value& e) {
      return std::vector<std::string>{at(e, {"experiment_id"}), at(e, {"display_name"}), at(e, {"storage_state"}),
                                      at(e, {"created_at"})};
    });
    return 0;
  }
  if (what == "pods") return get_pods(client, format);
  throw invalid("get {}: it is none of runs, run, pipelines, experiments, pods", what);
}

int logs(const Client& client, const std::string& run_text, const std::string& task_text, bool follow) {
  const auto run = client.find_run(run_text);
  const auto id = string_at(run, {"run_id"});
  auto path = [&](const std::string& task_id) {
    return fmt::format("/apis/v1alpha1/runs/{}/nodes/{}/log{}", id, http::url_encode(task_id),
                       follow ? "?follow=true" : "");
  };
  auto copy = [](std::string_view piece) {
    std::fwrite(piece.data(), 1, piece.size(), stdout);
    std::fflush(stdout);
    return true;
  };
  if (!task_text.empty()) {
    client.stream(path(task_text), copy);
    return 0;
  }
  // All tasks of the run, one after another.
  for (const auto& task : client.list("/apis/v2beta1/runs/" + id + "/tasks", "tasks")) {
    if (string_at(task, {"type"}) != "RUNTIME") continue;
    const auto name = printable(string_at(task, {"display_name"}, string_at(task, {"name"})));
    const auto state = string_at(task, {"state"});
    if (state == "PENDING" || state == "SKIPPED" || state == "CACHED") continue;
    std::printf("==> %s (%s) <==\n", name.c_str(), state.c_str());
    std::fflush(stdout);
    try {
      client.stream(path(string_at(task, {"task_id"})), copy);
    } catch (const Error& error) {
      std::printf("(%s)\n", error.message().c_str());
    }
  }
  return 0;
}

int cancel(const Client& client, const std::string& run_text) {
  const auto run = client.find_run(run_text);
  client.post("/apis/v2beta1/runs/" + string_at(run, {"run_id"}) + ":terminate", json::object());
  std::printf("canceling run %s\n", string_at(run, {"run_id"}).c_str());
  return 0;
}

}  // namespace penstock::cli
