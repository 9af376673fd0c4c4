// What a server is told: by options, else by PENSTOCK_… variables, else by the config file, else the defaults.
#pragma once

#include <cstdint>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace penstock::server {

struct Endpoint {
  std::string host;
  uint16_t port = 0;
};

// "127.0.0.1:8080", "[::1]:8080", ":8080" (every address). Throws InvalidArgument naming `what`.
Endpoint parse_endpoint(const std::string& text, const std::string& what);
bool is_loopback(const std::string& host);
// "a,b" as {"a", "b"}, without empty ones.
std::vector<std::string> parse_list(const std::string& text);

inline constexpr std::string_view kS3Listen = "127.0.0.1:9000";

enum class Runtime { Auto, Host, Oci };
Runtime parse_runtime(const std::string& text);

struct Config {
  std::filesystem::path data;  // empty: ~/.penstock
  std::string listen = "127.0.0.1:8080";
  // Empty: kS3Listen, or where that is taken, and for "none", only below /s3 of the main address.
  std::string s3_listen;
  std::string s3_access_key, s3_secret_key;  // the root key; empty: the one in <data>/s3/root-key
  std::filesystem::path s3_keys;             // YAML with more keys; empty: none
  std::string s3_domain = "localhost";       // buckets are also found at BUCKET.DOMAIN
  std::string s3_region = "us-east-1";       // that buckets say they are in
  std::string runtime = "auto";              // auto, host: processes of this machine; oci: containers of the images
  std::filesystem::path container_engine;    // the socket of Docker's API; empty: where Docker and Podman have theirs
  std::string python;                        // empty: the first python3 in PATH
  std::string sandbox = "auto";              // auto: where the machine allows it; none: plain processes
  std::string log_level = "info";
  std::string webhook;                         // URL that is told of runs' changes; empty: none
  std::filesystem::path webhook_secret_file;   // whose content signs what it is told
  std::chrono::seconds archive_runs_after{0};  // since a run's end; 0: never
  std::chrono::seconds delete_archived_runs_after{0};
  // HOST,HOST: names of this server besides localhost and addresses, and sites whose pages may use it.
  std::string allowed_hosts;
  // HOST,HOST: packages named by URL are fetched from these over HTTP and at private addresses too.
  std::string package_hosts;
  std::filesystem::path stores;   // YAML that says how other object stores are reached; empty: none
  std::string store_hosts;        // HOST,HOST that URIs of artifacts may name beyond the public internet
  std::string store_folders;      // PATH,PATH that file:// URIs may name
  std::string time_zone = "UTC";  // of cron expressions that name none
  int warm_python = 4;            // environments that keep a Python process from which steps are forked; 0: none
  bool caching = true;            // false: no task takes from the cache or leaves anything in it
  bool insecure = false;          // listen beyond loopback though nobody has to log in
  std::optional<double> cpus;     // instead of what the machine has
  std::optional<int64_t> memory;  // bytes
  std::optional<int> gpus;
};

// Reads a YAML file with the members of Config by their names (`s3-listen` or `s3_listen`). Throws InvalidArgument
// naming the file and the key.
void read_config_file(const std::filesystem::path& file, Config& config);

// "90s", "15m", "12h", "30d". Throws InvalidArgument naming `option`.
std::chrono::seconds parse_duration(std::string_view text, std::string_view option);

// Fills in the data folder and refuses what doesn't fit together. Throws InvalidArgument or PermissionDenied.
void check_config(Config& config);

}  // namespace penstock::server
