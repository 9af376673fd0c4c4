// The model registry, for the terminal.
#include <cstdio>

#include "base/error.h"
#include "cli/commands.h"
#include "http/message.h"

namespace penstock::cli {

namespace {

constexpr const char* kRegistry = "/api/model_registry/v1alpha3";

json::array all_of(const Client& client, const std::string& collection) {
  json::array items;
  std::string token;
  do {
    const auto page =
        client.get(fmt::format("{}/{}pageSize=200&nextPageToken={}", kRegistry, collection, http::url_encode(token)));
    if (const auto* list = find(page, "items"); list && list->is_array()) {
      for (const auto& item : list->get_array()) items.push_back(item);
    }
    token = string_at(page, {"nextPageToken"});
  } while (!token.empty());
  return items;
}

std::string at(const json::value& value, std::string_view key) { return printable(string_at(value, {key})); }

}  // namespace

int list_models(const Client& client, Format format) {
  json::array models = all_of(client, "registered_models?");
  std::vector<std::vector<std::string>> rows;
  for (auto& model : models) {
    json::array versions = all_of(
        client,
        fmt::format("registered_models/{}/versions?orderBy=CREATE_TIME&sortOrder=DESC&", string_at(model, {"id"})));
    std::string names;
    for (const auto& version : versions) names += (names.empty() ? "" : ", ") + at(version, "name");
    rows.push_back({at(model, "id"), at(model, "name"), at(model, "state"), names});
    model.as_object()["versions"] = std::move(versions);
  }
  if (format == Format::Table) {
    std::fputs(table({"MODEL", "NAME", "STATE", "VERSIONS"}, rows).c_str(), stdout);
  } else {
    print(json::object{{"registered_models", std::move(models)}}, format);
  }
  return 0;
}

int register_model(const Client& client, const RegisterArguments& arguments, Format format) {
  const auto run = client.find_run(arguments.run);
  json::object body{{"run_id", string_at(run, {"run_id"})}, {"model", arguments.model}};
  const std::pair<const char*, const std::string&> given[] = {{"version", arguments.version},
                                                              {"task", arguments.task},
                                                              {"output", arguments.output},
                                                              {"description", arguments.description}};
  for (const auto& [name, value] : given) {
    if (!value.empty()) body[name] = value;
  }
  json::array aliases;
  for (const auto& alias : arguments.aliases) aliases.emplace_back(alias);
  if (!aliases.empty()) body["aliases"] = std::move(aliases);
  const auto done = client.post("/apis/penstock/v1/models:register", body);
  if (format != Format::Table) {
    print(done, format);
    return 0;
  }
  std::printf("registered %s as version %s of model %s\n",
              printable(string_at(done, {"model_artifact", "uri"})).c_str(),
              printable(string_at(done, {"model_version", "name"})).c_str(),
              printable(string_at(done, {"registered_model", "name"})).c_str());
  return 0;
}

}  // namespace penstock::cli
