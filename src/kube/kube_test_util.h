// What the tests of this folder share: an embedded api over a temporary database, and coroutines run to their end.
#pragma once

#include <filesystem>
#include <future>

#include <boost/asio/use_future.hpp>

#include "kube/embedded.h"

namespace penstock::kube::test {

struct TempDir {
  TempDir() : path(std::filesystem::temp_directory_path() / ("penstock-kube-" + new_uuid())) {
    std::filesystem::create_directories(path);
  }
  ~TempDir() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

// Runs a coroutine on `loop` and gives its result, or throws what it threw.
template <class Make>
auto run_on(Loop& loop, Make make) {
  return asio::co_spawn(loop.executor(), on(loop.executor(), std::move(make)), asio::use_future).get();
}

// The store over a file; `elsewhere` is a loop other than the control loop.
struct Server {
  explicit Server(const std::filesystem::path& file, EmbeddedOptions options = {})
      : control("control"),
        elsewhere("elsewhere"),
        database(file, {EmbeddedApi::migrations()}),
        api(database, control, clock, core_kinds(), options) {
    run_on(elsewhere, [&] { return api.start(); });
  }

  // Runs on the control loop.
  template <class Make>
  auto run(Make make) {
    return run_on(control, std::move(make));
  }

  Object get(const Resource& resource, std::string name, std::string ns = "default") {
    return run([&] { return api.get(resource, ns, name); });
  }
  bool exists(const Resource& resource, std::string name, std::string ns = "default") {
    try {
      get(resource, std::move(name), std::move(ns));
      return true;
    } catch (const Error& error) {
      if (error.code() != Code::NotFound) throw;
      return false;
    }
  }
  Object create(const Resource& resource, json::object object, WriteOptions options = {}) {
    return run([&] { return api.create(resource, object, options); });
  }
  Object update(const Resource& resource, json::object object, WriteOptions options = {}) {
    return run([&] { return api.update(resource, object, options); });
  }
  Object patch(const Resource& resource, std::string name, PatchType type, json::value patch,
               WriteOptions options = {}) {
    return run([&] { return api.patch(resource, "default", name, type, patch, options); });
  }
  Object remove(const Resource& resource, std::string name, DeleteOptions options = {}, std::string ns = "default") {
    return run([&] { return api.remove(resource, ns, name, options); });
  }
  List list(const Resource& resource, ListQuery query) {
    return run([&] { return api.list(resource, query); });
  }
  std::unique_ptr<Watch> watch(const Resource& resource, WatchQuery query) {
    return run([&] { return api.watch(resource, query); });
  }
  WatchEvent next(Watch& watch) {
    return run_on(elsewhere, [&] { return watch.next(); });
  }

  Loop control, elsewhere;
  FakeClock clock{Time(std::chrono::seconds(1'700'000'000))};
  db::Database database;
  EmbeddedApi api;
};

inline json::object pod(std::string_view name, std::string_view ns = "default") {
  return {{"metadata", json::object{{"name", name}, {"namespace", ns}}},
          {"spec", json::object{{"containers", json::array{json::object{{"name", "main"}, {"image", "busybox"}}}}}}};
}

inline json::object config_map(std::string_view name, std::string_view ns = "default") {
  return {{"metadata", json::object{{"name", name}, {"namespace", ns}}}, {"data", json::object{{"a", "1"}}}};
}

// The error's code; Ok when nothing was thrown.
template <class Work>
Code code_of(Work work) {
  try {
    work();
    return Code::Ok;
  } catch (const Error& error) {
    return error.code();
  }
}

}  // namespace penstock::kube::test
