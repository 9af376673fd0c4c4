#include "server/config.h"

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <boost/asio/ip/address.hpp>

#include "base/duration.h"
#include "base/error.h"
#include "base/json.h"
#include "node/quantity.h"

namespace penstock::server {

Endpoint parse_endpoint(const std::string& text, const std::string& what) {
  const size_t colon = text.rfind(':');
  Endpoint endpoint;
  unsigned port = 0;
  const auto* end = text.data() + text.size();
  const bool has_port = colon != std::string::npos && std::from_chars(text.data() + colon + 1, end, port).ptr == end &&
                        colon + 1 < text.size();
  if (!has_port || port > 65535) {
    throw Error(Code::InvalidArgument, fmt::format("{}: \"{}\" is not HOST:PORT, as in 127.0.0.1:8080", what, text),
                what);
  }
  endpoint.port = static_cast<uint16_t>(port);
  endpoint.host = text.substr(0, colon);
  if (endpoint.host.size() > 2 && endpoint.host.front() == '[' && endpoint.host.back() == ']') {
    endpoint.host = endpoint.host.substr(1, endpoint.host.size() - 2);
  }
  if (endpoint.host.empty()) endpoint.host = "0.0.0.0";
  if (endpoint.host == "localhost") endpoint.host = "127.0.0.1";
  boost::system::error_code error;
  boost::asio::ip::make_address(endpoint.host, error);
  if (error) {
    throw Error(Code::InvalidArgument, fmt::format("{}: \"{}\" is not an IP address", what, endpoint.host), what);
  }
  return endpoint;
}

bool is_loopback(const std::string& host) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(host, error);
  return !error && address.is_loopback();
}

std::vector<std::string> parse_list(const std::string& text) {
  std::vector<std::string> out;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) {
    if (!part.empty()) out.push_back(part);
  }
  return out;
}

Runtime parse_runtime(const std::string& text) {
  if (text == "auto") return Runtime::Auto;
  if (text == "host") return Runtime::Host;
  if (text == "oci") return Runtime::Oci;
  throw Error(Code::InvalidArgument, fmt::format("runtime: \"{}\" is none of auto, host, oci", text), "runtime");
}

void read_config_file(const std::filesystem::path& file, Config& config) {
  std::ifstream stream(file);
  if (!stream) throw invalid("the config file {} cannot be read", file.string());
  std::stringstream text;
  text << stream.rdbuf();
  const auto documents = parse_yaml(text.str());
  if (documents.empty() || documents[0].is_null()) return;
  if (!documents[0].is_object()) throw invalid("the config file {} must hold one mapping", file.string());
  for (const auto& [name, value] : documents[0].get_object()) {
    std::string key(name);
    std::replace(key.begin(), key.end(), '-', '_');
    auto text_value = [&, &v = value] {
      if (v.is_string()) return to_std(v.get_string());
      if (v.is_object() || v.is_array() || v.is_null()) {
        throw invalid("the config file {}: {} must be a single value", file.string(), key);
      }
      return to_text(v);
    };
    auto bool_value = [&, &v = value] {
      if (!v.is_bool()) throw invalid("the config file {}: {} must be true or false", file.string(), key);
      return v.get_bool();
    };
    if (key == "data")
      config.data = text_value();
    else if (key == "listen")
      config.listen = text_value();
    else if (key == "s3_listen")
      config.s3_listen = text_value();
    else if (key == "s3_access_key")
      config.s3_access_key = text_value();
    else if (key == "s3_secret_key")
      config.s3_secret_key = text_value();
    else if (key == "s3_keys")
      config.s3_keys = text_value();
    else if (key == "s3_domain")
      config.s3_domain = text_value();
    else if (key == "s3_region")
      config.s3_region = text_value();
    else if (key == "runtime")
      config.runtime = text_value();
    else if (key == "container_engine")
      config.container_engine = text_value();
    else if (key == "python")
      config.python = text_value();
    else if (key == "sandbox")
      config.sandbox = text_value();
    else if (key == "log_level")
      config.log_level = text_value();
    else if (key == "webhook")
      config.webhook = text_value();
    else if (key == "webhook_secret_file")
      config.webhook_secret_file = text_value();
    else if (key == "archive_runs_after")
      config.archive_runs_after = parse_duration(text_value(), key);
    else if (key == "delete_archived_runs_after")
      config.delete_archived_runs_after = parse_duration(text_value(), key);
    else if (key == "allowed_hosts")
      config.allowed_hosts = text_value();
    else if (key == "package_hosts")
      config.package_hosts = text_value();
    else if (key == "stores")
      config.stores = text_value();
    else if (key == "store_hosts")
      config.store_hosts = text_value();
    else if (key == "store_folders")
      config.store_folders = text_value();
    else if (key == "time_zone")
      config.time_zone = text_value();
    else if (key == "warm_python")
      config.warm_python = static_cast<int>(value.to_number<int64_t>());
    else if (key == "caching")
      config.caching = bool_value();
    else if (key == "insecure")
      config.insecure = bool_value();
    else if (key == "cpus")
      config.cpus = value.to_number<double>();
    else if (key == "memory")
      config.memory = node::Quantity::parse(text_value(), "memory").units();
    else if (key == "gpus")
      config.gpus = static_cast<int>(value.to_number<int64_t>());
    else
      throw invalid("the config file {}: unknown key \"{}\"", file.string(), std::string(name));
  }
}

std::chrono::seconds parse_duration(std::string_view text, std::string_view option) {
  const auto duration = read_duration(text);
  if (!duration) {
    throw Error(Code::InvalidArgument,
                fmt::format("{}: \"{}\" is no time; write it as 90s, 15m, 12h or 30d", option, text),
                std::string(option));
  }
  return *duration;
}

void check_config(Config& config) {
  if (config.data.empty()) {
    const char* home = std::getenv("HOME");
    if (home == nullptr || *home == 0) throw invalid("HOME is not set: say --data DIR");
    config.data = std::filesystem::path(home) / ".penstock";
  }
  config.data = std::filesystem::weakly_canonical(std::filesystem::absolute(config.data));
  const auto http = parse_endpoint(config.listen, "listen");
  auto listening = std::vector{http};
  if (!config.s3_listen.empty() && config.s3_listen != "none")
    listening.push_back(parse_endpoint(config.s3_listen, "s3-listen"));
  if (config.s3_access_key.empty() != config.s3_secret_key.empty()) {
    throw invalid("s3-access-key and s3-secret-key go together: set both or neither");
  }
  parse_runtime(config.runtime);
  if (config.sandbox != "auto" && config.sandbox != "none") {
    throw invalid("sandbox: \"{}\" is none of auto, none", config.sandbox);
  }
  if (config.warm_python < 0 || config.warm_python > 1000) {
    throw Error(Code::InvalidArgument,
                fmt::format("warm-python: {} is not a number from 0 to 1000", config.warm_python), "warm-python");
  }
  for (const auto& endpoint : listening) {
    if (!is_loopback(endpoint.host) && !config.insecure) {
      throw Error(
          Code::PermissionDenied,
          fmt::format("refusing to listen on {}: nobody has to log in, so everyone who reaches that address could "
                      "run programs here. Listen on 127.0.0.1, or say --insecure if the network is trusted",
                      endpoint.host));
    }
  }
}

}  // namespace penstock::server
