// The commands of the `penstock` program. Each returns the exit status; errors are thrown.
#pragma once

#include <string>
#include <vector>

#include "cli/client.h"
#include "server/config.h"

namespace penstock::cli {

// until_input_ends: the server is its parent's own. It stops also when standard input closes, however the parent ended,
// and the steps that still run end with it.
int up(server::Config config, bool until_input_ends);

struct RunArguments {
  std::string file;                     // PIPELINE.yaml or SCRIPT.py
  std::vector<std::string> parameters;  // name=value
  std::string function;                 // which pipeline of a script
  std::string name;                     // the run's
  std::string server;                   // a server that is up already; empty: one of our own
  bool caching = true;
  server::Config config;
  Format format = Format::Table;
};
// Exit status: 0 the run succeeded, 1 it failed, 3 it was canceled, 130 it was interrupted.
int run(RunArguments arguments);

int get(const Client& client, const std::string& what, const std::string& name, Format format);
int logs(const Client& client, const std::string& run, const std::string& task, bool follow);
int cancel(const Client& client, const std::string& run);

int list_models(const Client& client, Format format);

struct RegisterArguments {
  std::string run;    // its id, the beginning of it, or its name
  std::string model;  // made when there is none of that name
  std::string version, task, output, description;
  std::vector<std::string> aliases;
};
int register_model(const Client& client, const RegisterArguments& arguments, Format format);

// Shared by run and get: a run's tasks as a table, and its outputs.
void print_run(const Client& client, const json::value& run);

}  // namespace penstock::cli
