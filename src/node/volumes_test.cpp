#include "node/volumes.h"

#include "node/testing_agent.h"

using namespace penstock;
using namespace penstock::node;
namespace fs = std::filesystem;

namespace {

const PodContext kContext{"node-1", "10.0.0.1", 4000, 8LL << 30};

json::object pod_with(std::string_view volumes, std::string_view container = "{}") {
  return parse_json(
             fmt::format(R"j({{"metadata":{{"name":"p","namespace":"ns","uid":"u1","labels":{{"b":"2","a":"1"}}}},
      "spec":{{"volumes":[{}],"containers":[{}]}}}})j",
                         volumes, container))
      .get_object();
}

ConfigObjects objects() {
  ConfigObjects result;
  result[{ConfigKind::Secret, "s"}] =
      kube::make_object(parse_json(R"({"data":{"user":"bWU=","pass":"c2VjcmV0","bad=name":"eA=="}})").get_object());
  result[{ConfigKind::ConfigMap, "c"}] =
      kube::make_object(parse_json(R"({"data":{"k":"v"},"binaryData":{"b":"AAE="}})").get_object());
  result[{ConfigKind::Claim, "data"}] = kube::make_object({});
  return result;
}

struct Fixture {
  PodFiles prepare(std::string_view volumes) { return prepare_files(pod_with(volumes), objects(), kContext, options); }
  std::string problem(std::string_view volumes) {
    try {
      prepare(volumes);
    } catch (const ConfigMissing& error) {
      return "waits: " + error.message();
    } catch (const Error& error) {
      return error.field() + ": " + error.message();
    }
    return "none";
  }
  std::string mount_problem(const PodFiles& files, std::string_view mount) {
    try {
      container_mounts(parse_json(fmt::format(R"({{"name":"main","volumeMounts":[{}]}})", mount)).get_object(), files,
                       {});
    } catch (const Error& error) {
      return error.message();
    }
    return "none";
  }

  TemporaryFolder folder;
  VolumeOptions options{folder.path(), false};
};

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace

TEST_CASE("volumes: every kind") {
  Fixture f;
  fs::create_directories(f.folder.path() / "tasks" / "t");
  const auto files = f.prepare(fmt::format(R"(
      {{"name":"empty","emptyDir":{{"medium":"Memory"}}}},
      {{"name":"claim","persistentVolumeClaim":{{"claimName":"data","readOnly":true}}}},
      {{"name":"secret","secret":{{"secretName":"s","items":[{{"key":"user","path":"deep/name","mode":256}}]}}}},
      {{"name":"map","configMap":{{"name":"c"}}}},
      {{"name":"down","downwardAPI":{{"items":[{{"path":"labels","fieldRef":{{"fieldPath":"metadata.labels"}}}}]}}}},
      {{"name":"all","projected":{{"sources":[{{"secret":{{"name":"s"}}}},{{"configMap":{{"name":"c"}}}},
          {{"downwardAPI":{{"items":[{{"path":"name","fieldRef":{{"fieldPath":"metadata.name"}}}}]}}}}]}}}},
      {{"name":"gone","secret":{{"secretName":"none","optional":true}}}},
      {{"name":"host","hostPath":{{"path":"{}/tasks/t"}}}})",
                                           f.folder.path().string()));
  const auto own = f.folder.path() / "pods" / "u1";
  CHECK(files.tmp == own / "tmp");
  CHECK(files.volumes.at("empty").path == own / "volumes" / "empty");
  CHECK_FALSE(files.volumes.at("empty").read_only);
  CHECK(files.volumes.at("claim").path == f.folder.path() / "volumes" / "ns" / "data");
  CHECK(files.volumes.at("claim").read_only);
  CHECK(file_text(files.volumes.at("secret").path / "deep" / "name") == "me");
  CHECK(fs::status(files.volumes.at("secret").path / "deep" / "name").permissions() == fs::perms::owner_read);
  CHECK_FALSE(fs::exists(files.volumes.at("secret").path / "pass"));
  CHECK(file_text(files.volumes.at("map").path / "k") == "v");
  CHECK(file_text(files.volumes.at("map").path / "b") == std::string("\0\1", 2));
  CHECK(file_text(files.volumes.at("down").path / "labels") == "a=\"1\"\nb=\"2\"");
  CHECK(file_text(files.volumes.at("all").path / "name") == "p");
  CHECK(file_text(files.volumes.at("all").path / "pass") == "secret");
  CHECK(fs::is_empty(files.volumes.at("gone").path));
  CHECK(files.volumes.at("host").path == fs::canonical(f.folder.path() / "tasks" / "t"));
  CHECK(fs::status(own).permissions() == fs::perms::owner_all);
}

TEST_CASE("volumes: what is missing is waited for, what is wrong is refused") {
  Fixture f;
  CHECK(f.problem(R"({"name":"v","secret":{"secretName":"none"}})") == "waits: secret \"none\" not found");
  CHECK(f.problem(R"({"name":"v","configMap":{"name":"none"}})") == "waits: configmap \"none\" not found");
  CHECK(f.problem(R"({"name":"v","secret":{"secretName":"s","items":[{"key":"x","path":"x"}]}})") ==
        "waits: secret \"s\" has no key \"x\"");
  CHECK(f.problem(R"({"name":"v","persistentVolumeClaim":{"claimName":"none"}})") ==
        "waits: persistentvolumeclaim \"none\" not found");
  CHECK(has(f.problem(R"({"name":"v","hostPath":{"path":"/etc"}})"), "spec.volumes[0].hostPath.path: "));
  CHECK(has(f.problem(R"({"name":"v","secret":{"secretName":"s","items":[{"key":"user","path":"../x"}]}})"),
            "without \"..\""));
  CHECK(has(f.problem(R"({"name":"v","nfs":{"server":"x"}})"), "is of a kind that this node does not have"));
  CHECK(has(f.problem(R"({"name":"../v","emptyDir":{}})"), "a volume's name"));
  fs::create_directories(f.folder.path() / "tasks");
  fs::create_symlink("/etc", f.folder.path() / "tasks" / "link");
  CHECK(has(f.problem(fmt::format(R"({{"name":"v","hostPath":{{"path":"{}/tasks/link"}}}})", f.folder.path().string())),
            "is not allowed here"));
  CHECK(has(
      f.problem(fmt::format(R"({{"name":"v","hostPath":{{"path":"{}/tasks/../pods"}}}})", f.folder.path().string())),
      "is not allowed here"));
  f.options.allow_host_path = true;
  CHECK(f.problem(R"({"name":"v","hostPath":{"path":"/etc"}})") == "none");
  CHECK(has(f.problem(R"({"name":"v","hostPath":{"path":"/nonexistent-x"}})"), "does not exist"));
  CHECK(has(f.problem(R"({"name":"v","hostPath":{"path":"/etc","type":"File"}})"), "is no File"));
}

TEST_CASE("volumes: mounts and their subPaths") {
  Fixture f;
  const auto files = f.prepare(R"({"name":"e","emptyDir":{}},{"name":"s","secret":{"secretName":"s"}})");
  const auto container = parse_json(R"j({"volumeMounts":[{"name":"e","mountPath":"/a"},
      {"name":"e","mountPath":"/b","subPath":"x/y","readOnly":true},
      {"name":"e","mountPath":"/c","subPathExpr":"$(WHO)"},
      {"name":"s","mountPath":"/d","subPath":"user"}]})j")
                             .get_object();
  const auto mounts = container_mounts(container, files, {{"WHO", "me"}});
  REQUIRE(mounts.size() == 4);
  const auto root = fs::canonical(files.volumes.at("e").path);
  CHECK(mounts[0].source == files.volumes.at("e").path);
  CHECK_FALSE(mounts[0].read_only);
  CHECK(mounts[1].source == root / "x" / "y");
  CHECK(mounts[1].read_only);
  CHECK(mounts[2].source == root / "me");
  CHECK(fs::is_directory(mounts[2].source));
  CHECK(file_text(mounts[3].source) == "me");
  CHECK(mounts[3].read_only);
  fs::create_directory_symlink("/etc", root / "out");
  CHECK(has(f.mount_problem(files, R"({"name":"e","mountPath":"/a","subPath":"out/ssl"})"), "leads out"));
  CHECK(has(f.mount_problem(files, R"({"name":"e","mountPath":"/a","subPath":"../x"})"), "without \"..\""));
  CHECK(has(f.mount_problem(files, R"({"name":"nope","mountPath":"/a"})"), "which the pod does not have"));
  CHECK(has(f.mount_problem(files, R"({"name":"e","mountPath":"a"})"), "must be absolute"));
}

TEST_CASE("environment: in order, expanded, from everywhere") {
  const auto container = parse_json(R"j({"name":"main","resources":{"limits":{"cpu":"1500m","memory":"64Mi"}},
      "envFrom":[{"configMapRef":{"name":"c"},"prefix":"C_"},{"secretRef":{"name":"s"}},
                 {"secretRef":{"name":"none","optional":true}}],
      "env":[{"name":"A","value":"1"},{"name":"B","value":"$(A)-$(C_k)-$$(A)-$(LATER)-$(unclosed"},
             {"name":"LATER","value":"x"},{"name":"user","value":"other"},{"name":"EMPTY"},
             {"name":"NS","valueFrom":{"fieldRef":{"fieldPath":"metadata.namespace"}}},
             {"name":"LABEL","valueFrom":{"fieldRef":{"fieldPath":"metadata.labels['a']"}}},
             {"name":"NODE","valueFrom":{"fieldRef":{"fieldPath":"spec.nodeName"}}},
             {"name":"IP","valueFrom":{"fieldRef":{"fieldPath":"status.podIP"}}},
             {"name":"CPU","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu"}}},
             {"name":"MILLI","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu","divisor":"1m"}}},
             {"name":"MEM","valueFrom":{"resourceFieldRef":{"resource":"limits.memory","divisor":"1Mi"}}},
             {"name":"PASS","valueFrom":{"secretKeyRef":{"name":"s","key":"pass"}}},
             {"name":"NONE","valueFrom":{"secretKeyRef":{"name":"s","key":"nope","optional":true}}}]})j")
                             .get_object();
  const auto env = container_env(pod_with("", "{}"), container, objects(), kContext, {{"PATH", "/bin"}});
  const auto value = [&](std::string_view name) {
    const auto* text = env_value(env, name);
    return text ? *text : "(absent)";
  };
  CHECK(env.front() == std::pair<std::string, std::string>("PATH", "/bin"));
  CHECK(value("B") == "1-v-$(A)-$(LATER)-$(unclosed");
  CHECK(value("C_k") == "v");
  CHECK(value("user") == "other");
  CHECK(value("pass") == "secret");
  CHECK(value("EMPTY").empty());
  CHECK(value("NS") == "ns");
  CHECK(value("LABEL") == "1");
  CHECK(value("NODE") == "node-1");
  CHECK(value("IP") == "10.0.0.1");
  CHECK(value("CPU") == "2");
  CHECK(value("MILLI") == "1500");
  CHECK(value("MEM") == "64");
  CHECK(value("PASS") == "secret");
  CHECK(value("NONE") == "(absent)");
  CHECK(value("bad=name") == "(absent)");
}

TEST_CASE("environment: expansion of $") {
  const EnvList env{{"A", "1"}, {"B", "$(A)"}};
  CHECK(expand("$(A)", env) == "1");
  CHECK(expand("$(B)", env) == "$(A)");  // once only
  CHECK(expand("$$(A)", env) == "$(A)");
  CHECK(expand("$$$(A)", env) == "$1");
  CHECK(expand("a$", env) == "a$");
  CHECK(expand("$A $", env) == "$A $");
  CHECK(expand("", env).empty());
}

TEST_CASE("environment: what a pod refers to") {
  const auto refs = config_refs(parse_json(R"({"spec":{"volumes":[{"secret":{"secretName":"b"}},
      {"persistentVolumeClaim":{"claimName":"d"}},{"projected":{"sources":[{"configMap":{"name":"e"}}]}}],
      "initContainers":[{"envFrom":[{"configMapRef":{"name":"c"}}]}],
      "containers":[{"env":[{"name":"X","valueFrom":{"secretKeyRef":{"name":"a","key":"k"}}}]}]}})")
                                    .get_object());
  CHECK(refs == std::vector<ConfigRef>{{ConfigKind::Secret, "a"},
                                       {ConfigKind::Secret, "b"},
                                       {ConfigKind::ConfigMap, "c"},
                                       {ConfigKind::ConfigMap, "e"},
                                       {ConfigKind::Claim, "d"}});
}
