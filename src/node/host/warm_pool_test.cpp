#include <doctest/doctest.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

#include "node/bundled_kfp.h"
#include "node/host/helper_tree.h"
#include "node/host/spawner_rig.h"

using namespace penstock;
using namespace penstock::node;
namespace fs = std::filesystem;

namespace {

// Empty when the process is gone, or goes while it is read.
std::string proc_text(int pid, const char* name) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/" + name);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string python() { return fs::canonical("/usr/bin/python3"); }

std::string_view warm_source() {
  for (const BundledFile& file : bundled_kfp_files()) {
    if (std::string_view(file.name) == "kfp/dsl/executor_warm.py") return file.text();
  }
  throw std::runtime_error("no executor_warm.py");
}

// Scripts that are started as Python steps are; each environment of variables is a kind of its own.
struct WarmRig : SpawnerRig {
  explicit WarmRig(bool sandbox = true) : SpawnerRig(sandbox) {
    scripts = make_folder("scripts");
    modules = make_folder("modules");
    options().shared_mounts = {{scripts, scripts, true}, {modules, modules, true}};
    warm_program = modules / "warm.py";
    std::ofstream(warm_program) << warm_source();
  }

  ProcessSpec script(const std::string& id, const std::string& source, std::vector<std::string> imports = {}) {
    std::ofstream(scripts / (id + ".py")) << source;
    ProcessSpec spec = shell(id, "");
    spec.argv = {python(), "-u", (scripts / (id + ".py")).native(), "one", "two words"};
    spec.env = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "PYTHONUNBUFFERED=1", "PYTHONPATH=" + modules.native(),
                "ME=" + id};
    spec.warm = {warm_program, std::move(imports), {"ME"}};
    return spec;
  }

  // Runs no-ops until one was forked.
  void warm_up(std::vector<std::string> imports = {}) {
    for (int i = 0; i < 1000; ++i) {
      ProcessSpec spec = script("warm-up", "pass", imports);
      if (run(spec).warm) return;
    }
    FAIL("no process was forked: ", log_of(data() / "node/helper.log"), log_of(data() / "node/warm.log"));
  }

  static std::string log_of(const fs::path& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }

  fs::path warm_program, scripts, modules;
};

// A zombie has closed its files.
bool is_gone(int pid) {
  const std::string text = proc_text(pid, "stat");
  const size_t end = text.rfind(") ");
  return end == std::string::npos || text[end + 2] == 'Z' || text[end + 2] == 'X';
}

bool any_of(const std::vector<int>& pids, const std::string& id) {
  return std::any_of(pids.begin(), pids.end(), [&](int pid) { return environment_of(pid, "ME") == id; });
}

bool possible(WarmRig& rig, bool sandbox) {
  std::string problem = sandbox ? rig.spawner().sandbox_problem() : "";
  if (!problem.empty()) MESSAGE("not tested here: ", problem);
  return problem.empty();
}

}  // namespace

#define EACH_KIND_OF_PROCESS               \
  for (const bool sandbox : {true, false}) \
    if (WarmRig rig(sandbox); possible(rig, sandbox))

TEST_CASE("warm: a forked program is as one that is started") {
  const std::string source = R"(
import os, sys, signal, atexit, stat
def show(*words): print(*words, flush=True)
show(sys.argv[1:], os.path.basename(sys.argv[0]), __name__, __file__ == sys.argv[0], __spec__, sys.executable)
show(sys.path[0] == os.path.dirname(__file__), [p for p in sys.path if p == ''], sys.flags)
show(sorted(k for k in globals() if not k.startswith('__')), sorted(k for k in globals() if k.startswith('__')))
show({k: os.environ[k] for k in sorted(os.environ) if k not in ('PENSTOCK_PROCESS', 'TMPDIR', 'ME')}, os.environ['ME'] != '')
show(os.getcwd(), oct(os.umask(0o22)), os.getsid(0) == os.getpid(), sorted(os.listdir('/proc/self/fd'))[:3],
     len(os.listdir('/proc/self/fd')), len(os.listdir('/proc/self/task')))
show([str(signal.getsignal(n)).replace(hex(id(signal.default_int_handler)), '') for n in (1, 2, 13, 15, 17)], signal.pthread_sigmask(0, []))
status = dict(line.split(':', 1) for line in open('/proc/self/status'))
show([(name, status[name].strip()) for name in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'SigBlk', 'SigCgt')])
show(sys.stdin.read() == '', sys.stdout.isatty(), sys.stdout.line_buffering, sys.stdout.encoding, sys.stdin.encoding)
import resource
show([resource.getrlimit(n) for n in (resource.RLIMIT_DATA, resource.RLIMIT_NOFILE, resource.RLIMIT_CORE, resource.RLIMIT_NPROC)])
import gc
show(gc.isenabled(), os.getpriority(os.PRIO_PROCESS, 0), os.getpid() == 2)
atexit.register(lambda: show('at exit'))
class Held:
    def __del__(self): print('given back')
held = Held()
)";
  EACH_KIND_OF_PROCESS {
    CAPTURE(sandbox);
    ProcessSpec spec = rig.script("same", source);
    ProcessStatus cold = rig.run(spec);
    const std::string told = rig.log("same");
    CHECK_FALSE(cold.warm);
    CHECK(cold.exit_code == 0);
    CHECK(told.ends_with("at exit\ngiven back\n"));
    rig.warm_up();
    fs::remove(rig.folder() / "logs/same");
    ProcessStatus warm = rig.run(spec);
    CHECK(warm.warm);
    CHECK(warm.exit_code == 0);
    CHECK(warm.sandboxed == cold.sandboxed);
    CHECK(rig.log("same") == told);
  }
}

TEST_CASE("warm: how programs end") {
  EACH_KIND_OF_PROCESS {
    CAPTURE(sandbox);
    rig.warm_up();
    const std::pair<const char*, const char*> sources[] = {
        {"exit", "import sys; print('x'); sys.exit(7)"},
        {"words", "import sys; sys.exit('bad words')"},
        {"raise", "def f():\n    raise ValueError('no')\nf()"},
        {"syntax", "x = = 1"},
        {"term", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"},
        {"segv", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"},
        {"now", "import os; os._exit(3)"},
        {"thread", "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.2), print('late'))).start()"},
        {"child", "import subprocess; print(subprocess.check_output(['echo', 'x']).decode(), end='')"},
        {"spawned",
         "import multiprocessing as m\ndef f(x): return x + 1\nif __name__ == '__main__':\n"
         "  for how in 'spawn', 'fork':\n    with m.get_context(how).Pool(2) as p: print(p.map(f, [1, 2]))"},
        {"closed", "import sys, os; os.close(1); print('x')"},
    };
    for (const auto& [id, source] : sources) {
      CAPTURE(id);
      ProcessSpec spec = rig.script(id, source);
      ProcessStatus warm = rig.run(spec);
      const std::string told = rig.log(id);
      fs::remove(rig.folder() / "logs" / id);
      spec.warm = {};
      ProcessStatus cold = rig.run(spec);
      CHECK(warm.warm);
      CHECK_FALSE(cold.warm);
      CHECK(warm.exit_code == cold.exit_code);
      CHECK(warm.signal == cold.signal);
      CHECK(warm.message == cold.message);
      CHECK(told == rig.log(id));
    }
  }
}

TEST_CASE("warm: nothing goes from one to the next") {
  EACH_KIND_OF_PROCESS {
    CAPTURE(sandbox);
    std::ofstream(rig.modules / "held.py") << "value = 1\nnames = []\n";
    rig.warm_up({"import held"});
    const char* change = R"(
import held, os, random, signal, sys
print(held.value, held.names, os.environ.get('LEFT'), os.getcwd(), os.path.exists('/tmp/penstock-left'), oct(os.umask(0o22)),
      signal.getsignal(signal.SIGUSR1), hasattr(sys, 'left'))
held.value = 2; held.names.append(1); os.environ['LEFT'] = '1'; os.chdir('/usr'); os.umask(0)
signal.signal(signal.SIGUSR1, signal.SIG_IGN); sys.left = 1
if os.getpid() == 2: open('/tmp/penstock-left', 'w'); open('/dev/shm/left', 'w')
)";
    rig.warm_up({"import held"});
    const char* draw = "import random, uuid; print(random.random(), uuid.uuid4())";
    std::set<std::string> drawn;
    for (int i = 0; i < 3; ++i) {
      const std::string id = "change" + std::to_string(i);
      CHECK(rig.run(rig.script(id, change, {"import held"})).warm);
      CHECK(rig.log(id) == "1 [] None / False 0o22 0 False\n");
      CHECK(rig.run(rig.script("draw" + id, draw, {"import held"})).warm);
      CHECK(drawn.insert(rig.log("draw" + id)).second);
    }
  }
}

TEST_CASE("warm: imports are made once, and what cannot be handed on is left to each step") {
  EACH_KIND_OF_PROCESS {
    CAPTURE(sandbox);
    std::ofstream(rig.modules / "heavy.py") << "import sys\nwho = sys.argv[0]\n";
    std::ofstream(rig.modules / "talks.py") << "print('hello')\n";
    std::ofstream(rig.modules / "threads.py")
        << "import threading, time\nthreading.Thread(target=lambda: time.sleep(1000), daemon=True).start()\n";
    std::ofstream(rig.modules / "opens.py") << "file = open('/dev/zero')\n";
    std::ofstream(rig.modules / "leaves.py") << "import os\nos._exit(1)\n";
    std::ofstream(rig.modules / "fails.py") << "raise ValueError('no')\n";
    std::ofstream(rig.modules / "paths.py") << "import sys\nsys.path.append('/nowhere')\n";
    const std::vector<std::string> all = {"import talks", "import heavy",  "import threads",     "import opens",
                                          "import fails", "import leaves", "import no_such_one", "import paths"};
    rig.warm_up(all);
    ProcessStatus status = rig.run(rig.script("load", "import heavy\nprint(heavy.who)", all));
    CHECK(status.warm);
    CHECK(rig.log("load") == "-c\n");
    CHECK(rig.run(rig.script("said", "import talks, opens, threads\nprint('x')", all)).warm);
    CHECK(rig.log("said") == "hello\nx\n");
    const std::string words = WarmRig::log_of(rig.data() / "node/helper.log");
    CAPTURE(words);
    for (const char* name : {"talks", "threads", "opens", "fails", "leaves", "paths"}) {
      CHECK(words.find("\"import " + std::string(name) + "\" is left to each step") != std::string::npos);
    }
    CHECK(words.find("heavy") == std::string::npos);
  }
}

TEST_CASE("warm: limits, signals and trees") {
  EACH_KIND_OF_PROCESS {
    CAPTURE(sandbox);
    rig.warm_up();
    ProcessSpec spec = rig.script("memory", "b = []\nwhile True: b.append(bytearray(1 << 20))");
    spec.memory_limit = 100 << 20;
    ProcessStatus status = rig.run(spec);
    CHECK(status.warm);
    CHECK(status.oom_killed);
    CHECK(status.exit_code == 137);
    const char* tree = R"(
import os, subprocess, time
subprocess.Popen(['setsid', 'sleep', '1000'])
if os.fork() == 0: os.setsid()
os.write(1, b'up\n')
time.sleep(1000)
)";
    for (const int number : {SIGTERM, SIGKILL}) {
      const std::string id = "tree" + std::to_string(number);
      rig.spawner().start(rig.script(id, tree));
      status = rig.wait_started(id);
      REQUIRE(status.warm);
      for (int i = 0; i < 2000 && rig.log(id) != "up\nup\n"; ++i) usleep(5000);
      CHECK(rig.log(id) == "up\nup\n");
      const std::vector<int> below = descendants_of(status.pid);
      CHECK(below.size() >= 1);
      rig.spawner().signal(id, number);
      status = rig.wait_ended(id);
      CHECK(status.signal == number);
      // Plain processes are told of their end by a signal, and take their time.
      for (int i = 0; !sandbox && i < 2000 && any_of(below, id); ++i) usleep(5000);
      CHECK_FALSE(any_of(below, id));
    }
  }
}

TEST_CASE("warm: tasks outlive their warm process, and the server") {
  EACH_KIND_OF_PROCESS {
    CAPTURE(sandbox);
    rig.warm_up();
    const fs::path go = rig.make_folder("go");
    const std::string path = sandbox ? "/go" : go.native();
    ProcessSpec spec = rig.script("long", "import os, time\nprint('up')\nwhile not os.path.exists('" + path +
                                              "/on'): time.sleep(0.01)\nprint('on')");
    spec.mounts = {{go, "/go", false}};
    rig.spawner().start(spec);
    ProcessStatus status = rig.wait_started("long");
    REQUIRE(status.warm);
    std::vector<int> killed;
    for (const int pid : all_processes()) {
      const std::string words = proc_text(pid, "cmdline");
      if (words.find(rig.warm_program.native()) != std::string::npos && pid != status.pid &&
          words.find("penstock_warm") != std::string::npos) {
        const std::vector<int> its = descendants_of(status.pid);
        if (std::find(its.begin(), its.end(), pid) == its.end()) killed.push_back(pid);
      }
    }
    CHECK(killed.size() >= 1);
    for (const int pid : killed) kill(pid, SIGKILL);
    // One that is not gone yet may be given a task.
    for (const int pid : killed) {
      for (int i = 0; i < 2000 && !is_gone(pid); ++i) usleep(5000);
    }
    CHECK(rig.run(rig.script("meanwhile", "print('x')")).exit_code == 0);
    rig.disconnect();
    rig.spawner();
    std::ofstream(go / "on") << "x";
    CHECK(rig.wait_ended("long").exit_code == 0);
    CHECK(rig.log("long") == "up\non\n");
    rig.spawner().forget("long");
    rig.warm_up();
  }
}

TEST_CASE("warm: an ordinary start where it would find other modules") {
  WarmRig rig;
  if (!possible(rig, true)) return;
  std::ofstream(rig.modules / "held.py") << "value = 1\n";
  rig.warm_up({"import held"});
  const fs::path folder = rig.make_folder("own");
  std::ofstream(folder / "held.py") << "value = 2\n";
  fs::create_directory(folder / "run");
  ProcessSpec spec = rig.script("own", "", {"import held"});
  spec.argv = {python(), "-m", "runs"};
  std::ofstream(rig.modules / "runs.py") << "import held\nprint(held.value, __name__, __spec__.name)\n";
  for (int i = 0; i < 1000; ++i) {
    ProcessSpec plain = spec;
    if (rig.run(plain).warm) break;
  }
  fs::remove(rig.folder() / "logs/own");
  CHECK(rig.run(spec).warm);
  CHECK(rig.log("own") == "1 __main__ runs\n");
  fs::remove(rig.folder() / "logs/own");
  spec.cwd = "/own";
  spec.mounts = {{folder, "/own", true}};
  CHECK(rig.run(spec).exit_code == 0);
  CHECK(rig.log("own") == "2 __main__ runs\n");
  spec.cwd = "/no/such";
  ProcessStatus status = rig.run(spec);
  CHECK(status.exit_code == 126);
  CHECK(status.message == "change to the folder \"/no/such\": No such file or directory");
}

TEST_CASE("warm: switched off") {
  WarmRig rig;
  rig.options().warm = 0;
  for (int i = 0; i < 4; ++i) CHECK_FALSE(rig.run(rig.script("a", "pass")).warm);
  CHECK(WarmRig::log_of(rig.data() / "node/warm.log") == "");
}
