#include "node/oci/container.h"

#include <doctest/doctest.h>

#include "base/base64.h"
#include "base/error.h"
#include "node/oci/engine.h"

namespace penstock::node {

namespace {

ProcessSpec step() {
  ProcessSpec spec;
  spec.id = "uid/main/0";
  spec.argv = {"sh", "-c", "true"};
  spec.env = {"A=b"};
  spec.image = "example.org/steps:1";
  spec.cwd = "/work";
  spec.tmp = "/data/tasks/t";
  spec.mounts = {{"/data/objects/a", "/minio/a", true}};
  spec.memory_limit = 64 << 20;
  spec.cpu_limit = 0.5;
  spec.devices = {"/dev/nvidia3", "/dev/nvidiactl", "/dev/fuse"};
  return spec;
}

bool over(std::string_view state, ProcessStatus& status, bool killed = false) {
  return read_state(parse_json(state).as_object(), killed, status);
}

}  // namespace

TEST_CASE("a process becomes a container") {
  const json::object config = container_config(step(), "/data");
  CHECK(config.at("Image") == "example.org/steps:1");
  CHECK(config.at("Entrypoint") == json::array{"sh"});
  CHECK(config.at("Cmd") == json::array{"-c", "true"});
  CHECK(config.at("WorkingDir") == "/work");
  CHECK(!config.contains("User"));
  CHECK(config.at("Labels").at(kIdLabel) == "uid/main/0");
  const json::value& host = config.at("HostConfig");
  CHECK(host.at("Memory") == 64 << 20);
  CHECK(host.at("NanoCpus") == 500'000'000);
  CHECK(to_text(host.at("Mounts")) ==
        R"([{"Type":"bind","Source":"/data/tasks/t","Target":"/tmp","ReadOnly":false},)"
        R"({"Type":"bind","Source":"/data/objects/a","Target":"/minio/a","ReadOnly":true}])");
  CHECK(to_text(host.at("DeviceRequests")) == R"([{"Driver":"nvidia","DeviceIDs":["3"],"Capabilities":[["gpu"]]}])");
  CHECK(host.at("Devices").as_array().size() == 1);  // what belongs to GPUs comes with them

  ProcessSpec arguments = step();
  arguments.image_entrypoint = true;
  const json::object plain = container_config(arguments, "/data");
  CHECK(!plain.contains("Entrypoint"));
  CHECK(plain.at("Cmd") == json::array{"sh", "-c", "true"});
}

TEST_CASE("a container's name follows from the data folder and the process") {
  ProcessSpec other = step();
  other.id = "uid/main/1";
  CHECK(container_name(step(), "/data") == container_name(step(), "/data"));
  CHECK(container_name(step(), "/data") != container_name(other, "/data"));
  CHECK(container_name(step(), "/data") != container_name(step(), "/elsewhere"));
}

TEST_CASE("how a container ended") {
  ProcessStatus status;
  CHECK(!over(R"({"State":{"Status":"created","Running":false}})", status));
  CHECK(!over(R"({"State":{"Status":"running","Running":true,"StartedAt":"2026-01-02T03:04:05Z"}})", status));
  CHECK(format_time(status.started_at).starts_with("2026-01-02T03:04:05"));
  CHECK(over(R"({"State":{"Status":"exited","Running":false,"ExitCode":7,"FinishedAt":"2026-01-02T03:04:06Z"}})",
             status));
  CHECK(status.exit_code == 7);
  CHECK(!status.oom_killed);
  CHECK(over(R"({"State":{"Status":"exited","Running":false,"ExitCode":137,"OOMKilled":true}})", status));
  CHECK(status.oom_killed);
  CHECK(status.signal == 9);

  const char* limited = R"({"State":{"Status":"exited","Running":false,"ExitCode":137},"HostConfig":{"Memory":1000}})";
  CHECK(over(limited, status));
  CHECK(status.oom_killed);
  CHECK(over(limited, status, true));
  CHECK(!status.oom_killed);
  CHECK(over(R"({"State":{"Status":"exited","Running":false,"ExitCode":137},"HostConfig":{"Memory":0}})", status));
  CHECK(!status.oom_killed);
}

TEST_CASE("credentials for an image's registry") {
  auto decoded = [](std::string text) {
    for (char& c : text) c = c == '-' ? '+' : c == '_' ? '/' : c;
    return parse_json(base64_decode(text).value()).as_object();
  };
  const std::string config = R"({"auths":{"https://index.docker.io/v1/":{"auth":")" + base64_encode("ann:se:cret") +
                             R"("},"example.org:5000":{"username":"bob","password":"p"}}})";
  CHECK(get_string(decoded(registry_auth(config, "ann/steps:1")), "username") == "ann");
  CHECK(get_string(decoded(registry_auth(config, "ann/steps:1")), "password") == "se:cret");
  CHECK(get_string(decoded(registry_auth(config, "example.org:5000/x")), "username") == "bob");
  CHECK(registry_auth(config, "other.org/x").empty());
  CHECK(registry_auth("no json", "ann/steps").empty());
}

TEST_CASE("a Python step's kfp comes with the server, its own packages by pip") {
  const std::string pip = "python3 -m pip install --quiet --no-warn-script-location ";
  const std::string install =
      "\nif ! [ -x \"$(command -v pip)\" ]; then\n    python3 -m ensurepip || python3 -m "
      "ensurepip --user || apt-get install python3-pip\nfi\n\nPIP_DISABLE_PIP_VERSION_CHECK=1 ";
  const std::string kfp = pip + "'kfp==2.17.0' '--no-deps' && \"$0\" \"$@\"";
  const std::vector<std::string> program = {
      "sh",
      "-ec",
      "program_path=$(mktemp -d)\n\nprintf \"%s\" \"$0\" > \"$program_path/ephemeral_component.py\"\n_KFP_RUNTIME=true "
      "python3 -m kfp.dsl.executor_main --component_module_path \"$program_path/ephemeral_component.py\" \"$@\"\n",
      "def f(): pass",
      "--executor_input",
      "{}"};
  auto step_of = [&](const std::string& script) {
    std::vector<std::string> argv = {"sh", "-c", script};
    argv.insert(argv.end(), program.begin(), program.end());
    return command_in_image(std::move(argv));
  };
  const ImageCommand only_kfp = step_of(install + kfp);
  CHECK(only_kfp.needs_kfp);
  CHECK(only_kfp.argv == program);

  const ImageCommand more = step_of(install + pip + "'numpy<2' && " + kfp);
  CHECK(more.needs_kfp);
  REQUIRE(more.argv.size() == 3 + program.size());
  CHECK(more.argv[2].find("'numpy<2'") != std::string::npos);
  CHECK(more.argv[2].find("kfp==") == std::string::npos);

  const ImageCommand plain = command_in_image({"cat", "/etc/hostname"});
  CHECK(!plain.needs_kfp);
  CHECK(plain.argv == std::vector<std::string>{"cat", "/etc/hostname"});
}

TEST_CASE("logs come in frames, cut anywhere") {
  const std::string stream = std::string("\1\0\0\0\0\0\0\5hello", 13) + std::string("\2\0\0\0\0\0\0\0", 8) +
                             std::string("\2\0\0\0\0\0\0\6 world", 14);
  for (size_t piece = 1; piece <= stream.size(); ++piece) {
    std::string got;
    LogFrames frames([&](std::string_view bytes) { got += bytes; });
    for (size_t at = 0; at < stream.size(); at += piece) frames.take(std::string_view(stream).substr(at, piece));
    CHECK(got == "hello world");
  }
}

}  // namespace penstock::node
