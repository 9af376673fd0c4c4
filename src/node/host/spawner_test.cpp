#include <doctest/doctest.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

#include "node/host/helper_protocol.h"
#include "node/host/helper_tree.h"
#include "node/host/spawner_rig.h"

using namespace penstock;
using namespace penstock::node;

// A spawner in a test starts this same program as its helper.
const bool was_helper = [] {
  std::ifstream file("/proc/self/cmdline");
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word, '\0');) words.push_back(word);
  if (words.size() < 2 || words[1] != "node-helper") return false;
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  _exit(helper_main(static_cast<int>(arguments.size()), arguments.data()));
}();

TEST_CASE("protocol: specs and statuses survive the wire") {
  ProcessSpec spec;
  spec.id = "pod/ä";
  spec.argv = {"sh", "", "a\nb\"'"};
  spec.env = {"A=1"};
  spec.mounts = {{"/from", "/to", true}};
  spec.cpu_limit = 1.5;
  spec.memory_limit = 1ull << 40;
  spec.devices = {"/dev/x"};
  std::string wire;
  write_start(wire, spec);
  size_t offset = 0;
  CHECK_FALSE(next_frame(std::string_view(wire).substr(0, wire.size() - 1), offset).has_value());
  auto body = next_frame(wire, offset);
  REQUIRE(body.has_value());
  CHECK(offset == wire.size());
  FrameReader frame(*body);
  CHECK(frame.kind() == MessageKind::Start);
  ProcessSpec read = read_spec(frame);
  CHECK(read.id == spec.id);
  CHECK(read.argv == spec.argv);
  CHECK(read.mounts.at(0).target == "/to");
  CHECK(read.mounts.at(0).read_only);
  CHECK(read.cpu_limit == 1.5);
  CHECK(read.memory_limit == 1ull << 40);
  CHECK(read.devices == spec.devices);
  FrameReader cut(body->substr(0, 20));
  cut.kind();
  CHECK_THROWS(read_spec(cut));
}

static void check_basics(bool sandbox) {
  SpawnerRig rig(sandbox);
  CAPTURE(rig.spawner().sandbox_problem());
  SUBCASE("exit codes and output") {
    ProcessStatus status = rig.run(rig.shell("a", "echo out; echo err >&2; exit 7"));
    CHECK(status.exit_code == 7);
    CHECK(status.signal == 0);
    CHECK(status.message == "");
    CHECK(rig.log("a") == "out\nerr\n");
    CHECK(status.started_at <= status.finished_at);
    CHECK(rig.run(rig.shell("a", "echo more")).exit_code == 0);
    CHECK(rig.log("a") == "out\nerr\nmore\n");
  }
  SUBCASE("each change is told once") {
    rig.run(rig.shell("a", "exit 0"));
    CHECK(rig.changes("a") == 2);
  }
  SUBCASE("signals that a process sends itself") {
    for (int number : {SIGKILL, SIGTERM, SIGSEGV, SIGABRT}) {
      ProcessStatus status =
          rig.run(rig.shell("s" + std::to_string(number), "kill -" + std::to_string(number) + " $$"));
      CHECK(status.signal == number);
      CHECK(status.exit_code == 128 + number);
    }
  }
  SUBCASE("environment, working folder, arguments") {
    ProcessSpec spec = rig.shell("a", "pwd; env | grep -c SECRET; printf '%s|' \"$@\"");
    spec.argv.insert(spec.argv.end(), {"sh", "a b", "", "ü\n\"'$x", "\\"});
    spec.env.push_back("X_SECRET=1");
    spec.cwd = "/usr";
    setenv("SERVER_SECRET", "1", 1);
    CHECK(rig.run(spec).exit_code == 0);
    CHECK(rig.log("a") == "/usr\n1\na b||ü\n\"'$x|\\|");
  }
  SUBCASE("programs that cannot be run") {
    ProcessSpec spec = rig.shell("a", "");
    spec.argv = {"no-such-program", "x"};
    ProcessStatus status = rig.run(spec);
    CHECK(status.exit_code == 127);
    CHECK(status.message == "exec \"no-such-program\": No such file or directory");
    spec.argv = {"/etc/passwd"};
    status = rig.run(spec);
    CHECK(status.exit_code == 126);
    CHECK(status.message == "exec \"/etc/passwd\": Permission denied");
    spec.argv = {"true"};
    spec.cwd = "/no/such/folder";
    status = rig.run(spec);
    CHECK(status.exit_code == 126);
    CHECK(status.message == "change to the folder \"/no/such/folder\": No such file or directory");
    spec.argv = {};
    CHECK(rig.run(spec).message.starts_with("no command is given"));
  }
  SUBCASE("a script without an interpreter line") {
    std::ofstream(rig.folder() / "script") << "echo \"$0 $1\"\n";
    chmod((rig.folder() / "script").c_str(), 0755);
    ProcessSpec spec = rig.shell("a", "cp " + (rig.folder() / "script").native() + " /tmp/s");
    spec.tmp = rig.make_folder("tmp");
    if (sandbox) {
      std::filesystem::copy(rig.folder() / "script", spec.tmp / "s");
      spec.argv = {"/tmp/s", "x"};
    } else {
      spec.argv = {(rig.folder() / "script").native(), "x"};
    }
    CHECK(rig.run(spec).exit_code == 0);
    CHECK(rig.log("a") == spec.argv[0] + " x\n");
  }
}

TEST_CASE("plain processes") { check_basics(false); }
TEST_CASE("sandboxed processes") { check_basics(true); }

struct CloseFile {
  void operator()(FILE* file) const { std::fclose(file); }
};
using OpenFile = std::unique_ptr<FILE, CloseFile>;

// Runs `script`, which writes a line to fd 1 when it is ready for what comes; waits for that line. The caller keeps the
// result while the script may write more.
[[nodiscard]] static OpenFile start_ready(SpawnerRig& rig, const std::string& id, const std::string& script) {
  // The log is a fifo here: opening it for reading waits for nobody, reading waits for the line.
  std::string path = rig.folder() / "logs" / id;
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  FILE* fifo = nullptr;
  std::thread reader([&] {
    fifo = std::fopen(path.c_str(), "r");
    char line[16];
    if (std::fgets(line, sizeof line, fifo) == nullptr) line[0] = 0;
    unlink(path.c_str());
  });
  ProcessSpec spec = rig.shell(id, script);
  spec.env.push_back("TREE=" + id);
  rig.spawner().start(spec);
  reader.join();
  return OpenFile(fifo);
}

// Every process whose environment holds TREE=id.
static std::vector<int> tree_members(const std::string& id) {
  std::vector<int> found;
  for (int pid : all_processes()) {
    if (environment_of(pid, "TREE") == id) found.push_back(pid);
  }
  return found;
}

static void wait_gone(const std::string& id) {
  auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!tree_members(id).empty() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  CHECK(tree_members(id).empty());
}

static void check_trees(bool sandbox) {
  SpawnerRig rig(sandbox);
  std::string id = "tree-" + std::to_string(getpid()) + (sandbox ? "s" : "p");
  SUBCASE("SIGTERM ends programs without handlers, children too") {
    OpenFile output = start_ready(rig, id, "sh -c 'sleep 1000 & setsid sleep 1000 & echo ready; wait'; exit 3");
    rig.spawner().signal(id, SIGTERM);
    ProcessStatus status = rig.wait_ended(id);
    CHECK(status.signal == SIGTERM);
    CHECK(status.exit_code == 143);
    wait_gone(id);
  }
  SUBCASE("SIGTERM can be handled") {
    OpenFile output = start_ready(rig, id, "trap 'exit 5' TERM; echo ready; while :; do sleep 1000 & wait; done");
    rig.spawner().signal(id, SIGTERM);
    CHECK(rig.wait_ended(id).exit_code == 5);
  }
  SUBCASE("what is left behind ends with the main process") {
    OpenFile output =
        start_ready(rig, id,
                    "(trap '' TERM HUP; sleep 1000) & setsid sh -c 'trap \"\" TERM; sleep 1000 & sleep 1001' & "
                    "(setsid sleep 1002 &) ; echo ready; exit 4");
    CHECK(rig.wait_ended(id).exit_code == 4);
    wait_gone(id);
  }
  SUBCASE("SIGKILL ends a hundred children that ignore SIGTERM") {
    OpenFile output = start_ready(rig, id,
                                  "trap '' TERM; i=0; while [ $i -lt 100 ]; do sleep 1000 & i=$((i+1)); done; "
                                  "echo ready; while :; do wait; done");
    // A process that is just executing its program shows no environment.
    while (tree_members(id).size() < 100) std::this_thread::yield();
    rig.spawner().signal(id, SIGTERM);
    rig.spawner().signal(id, SIGKILL);
    ProcessStatus status = rig.wait_ended(id);
    CHECK(status.exit_code == 137);
    CHECK(status.signal == SIGKILL);
    wait_gone(id);
  }
}

TEST_CASE("plain process trees") { check_trees(false); }
TEST_CASE("sandboxed process trees") { check_trees(true); }

static void check_reconnect(bool sandbox) {
  SpawnerRig rig(sandbox);
  ProcessSpec blocked = rig.shell("blocked", "sleep 1000");
  rig.spawner().start(rig.shell("ended", "exit 9"));
  rig.spawner().start(rig.shell("forgotten", "exit 8"));
  rig.spawner().start(blocked);
  rig.wait_ended("ended");
  rig.wait_ended("forgotten");
  int pid = rig.wait_started("blocked").pid;
  rig.spawner().forget("forgotten");
  rig.disconnect();

  CHECK(rig.wait_ended("ended").exit_code == 9);
  rig.spawner();
  ProcessStatus found = rig.wait_started("blocked");
  CHECK(found.running);
  CHECK(found.pid == pid);
  CHECK(rig.wait_ended("ended").exit_code == 9);
  rig.spawner().signal("blocked", SIGTERM);
  CHECK(rig.wait_ended("blocked").signal == SIGTERM);
  rig.spawner().forget("ended");
  rig.spawner().forget("blocked");
}

TEST_CASE("another server finds what runs and what has ended") {
  check_reconnect(false);
  check_reconnect(true);
}

TEST_CASE("processes of a killed helper end and are reported") {
  for (bool sandbox : {false, true}) {
    SpawnerRig rig(sandbox);
    std::string id = "lost-" + std::to_string(getpid()) + (sandbox ? "s" : "p");
    OpenFile output = start_ready(rig, id, "setsid sleep 1000 & sleep 1000 & echo ready; wait");
    int helper = 0;
    std::ifstream(rig.data() / "node/helper.lock") >> helper;
    REQUIRE(helper > 0);
    kill(helper, SIGKILL);
    ProcessStatus status = rig.wait_ended(id);
    CHECK(status.exit_code == 137);
    CHECK(status.message == "the node helper died");
    // The next one works, and has ended what the first one left.
    CHECK(rig.run(rig.shell("next", "exit 6")).exit_code == 6);
    wait_gone(id);
  }
}

TEST_CASE("data folders with paths longer than a socket's") {
  std::filesystem::path below = "/tmp/penstock-" + std::to_string(getpid()) + std::string(150, 'x');
  std::filesystem::create_directories(below);
  {
    SpawnerRig rig(true, below);
    CHECK(rig.run(rig.shell("a", "exit 3")).exit_code == 3);
  }
  std::filesystem::remove_all(below);
}

TEST_CASE("a thousand quick processes") {
  for (bool sandbox : {false, true}) {
    SpawnerRig rig(sandbox);
    for (int i = 0; i < 1000; ++i)
      rig.spawner().start(rig.shell("q" + std::to_string(i), "exit " + std::to_string(i % 100)));
    int right = 0;
    for (int i = 0; i < 1000; ++i) {
      right += rig.wait_ended("q" + std::to_string(i)).exit_code == i % 100;
      rig.spawner().forget("q" + std::to_string(i));
    }
    CHECK(right == 1000);
  }
}
