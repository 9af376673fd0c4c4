#include <doctest/doctest.h>

#include <csignal>
#include <fstream>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/host/spawner_rig.h"

using namespace penstock;
using namespace penstock::node;
namespace fs = std::filesystem;

static bool sandboxed(SpawnerRig& rig) {
  std::string problem = rig.spawner().sandbox_problem();
  if (!problem.empty()) MESSAGE("not tested here: ", problem);
  return problem.empty();
}

static void write_file(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }
static std::string read_file(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_CASE("sandbox: what a task sees") {
  SpawnerRig rig;
  if (!sandboxed(rig)) return;
  SUBCASE("/tmp is its own, and /var/tmp the same") {
    ProcessSpec spec = rig.shell("a", "ls -A /tmp; echo x > /tmp/a; cat /var/tmp/a; echo y > /dev/shm/b; ls /dev/shm");
    CHECK(rig.run(spec).exit_code == 0);
    CHECK(rig.log("a") == "x\nb\n");
    spec = rig.shell("b", "ls -A /tmp /dev/shm; echo kept > /tmp/c");
    spec.tmp = rig.make_folder("tmp");
    CHECK(rig.run(spec).exit_code == 0);
    CHECK(rig.log("b") == "/dev/shm:\n\n/tmp:\n");
    CHECK(read_file(spec.tmp / "c") == "kept\n");
  }
  SUBCASE("the root is read-only") {
    ProcessSpec spec = rig.shell("a",
                                 "for d in / /usr /etc /root /var /home /dev /sys /proc/sys /run /mnt /opt; do "
                                 "(: > $d/penstock-test) 2>/dev/null && echo written: $d; done; "
                                 "mkdir /new 2>/dev/null && echo made; "
                                 "echo 1 2>/dev/null > /proc/sys/kernel/panic && echo set; "
                                 "for f in /proc/sysrq-trigger /proc/irq/default_smp_affinity /proc/sys/kernel/panic "
                                 "/proc/bus/pci/*/* /proc/acpi/wakeup; do [ -w $f ] && echo writable: $f; done; "
                                 "mount -o remount,rw / 2>/dev/null && echo remounted; "
                                 "umount /.penstock 2>/dev/null && echo unmounted; ls -A /.penstock");
    rig.run(spec);
    CHECK(rig.log("a") == "");
  }
  SUBCASE("processes, devices and privileges") {
    ProcessSpec spec = rig.shell("a",
                                 "ps -e -o pid= 2>/dev/null | wc -l | grep -qE '^[0-5]$' && echo few; echo $$; "
                                 "head -c 3 /dev/zero | wc -c; echo x > /dev/null; ls /dev | tr '\\n' ' '; "
                                 "grep -c . /proc/cpuinfo > /dev/null && echo cpus; "
                                 "grep NoNewPrivs /proc/self/status; ls -l /proc/1/fd 2>/dev/null | wc -l; "
                                 "mknod /tmp/disk b 8 0 2>/dev/null && echo disk; ls /proc/self/fd");
    rig.run(spec);
    std::string log = rig.log("a");
    CAPTURE(log);
    CHECK(log.find("few\n2\n3\n") == 0);
    CHECK(log.find("fd full null ptmx pts random shm stderr stdin stdout tty urandom zero") != std::string::npos);
    CHECK(log.find("cpus\nNoNewPrivs:\t1\n") != std::string::npos);
    CHECK(log.find("disk") == std::string::npos);
    CHECK(log.ends_with("\n0\n1\n2\n3\n"));  // the last is ls's own
  }
}

TEST_CASE("sandbox: the server's data is hidden") {
  const std::string folders[] = {"/tmp", "/var/tmp", "/opt", "/root", "/dev/shm"};
  for (const std::string& below : folders) {
    if (access(below.c_str(), W_OK) != 0) continue;
    CAPTURE(below);
    SpawnerRig rig(true, below);
    if (!sandboxed(rig)) return;
    write_file(rig.data() / "secret", "secret");
    fs::path volume = rig.make_folder("v");
    write_file(volume / "x", "content");
    std::string data = rig.data();
    ProcessSpec spec = rig.shell("a", "cat " + data + "/secret /.penstock/data/secret; ls -A " + data + "; cat /vol/x");
    spec.mounts = {{volume, "/vol", false}};
    rig.run(spec);
    std::string log = rig.log("a");
    CHECK(log.find("secret\n") == std::string::npos);
    CHECK(log.ends_with("content"));
    // Shown where it is shared: also below the data folder itself.
    rig.disconnect();
    fs::path shared = rig.make_folder("env");
    write_file(shared / "y", "shared");
    rig.options().shared_mounts = {{shared, shared, true}};
    ProcessSpec other = rig.shell("b", "cat " + shared.native() + "/y; touch " + shared.native() + "/z; ls " + data);
    ProcessStatus status = rig.run(other);
    CAPTURE(status.message);
    CAPTURE(rig.spawner().sandbox_problem());
    CAPTURE(rig.log("b"));
    CHECK(status.exit_code == 0);
    CHECK(rig.log("b").find("shared") == 0);
    CHECK(rig.log("b").ends_with("volumes\n"));
    CHECK_FALSE(fs::exists(shared / "z"));
  }
}

TEST_CASE("sandbox: mounts") {
  SpawnerRig rig;
  if (!sandboxed(rig)) return;
  fs::path volume = rig.make_folder("v ö'\"");
  write_file(volume / "in", "input\n");
  SUBCASE("writable, read-only, files, nested") {
    fs::path inner = rig.make_folder("inner");
    write_file(inner / "f", "inner\n");
    ProcessSpec spec = rig.shell("a",
                                 "cat /model/in /model/sub/dir/f /etc/one-file; echo out > /model/out; "
                                 "echo bad > /ro/out && echo written; cat /tmp/deep/er/in");
    spec.mounts = {{inner, "/model/sub/dir", true},
                   {volume, "/model/", false},
                   {volume, "/ro", true},
                   {volume / "in", "/etc/one-file", true},
                   {volume, "/tmp/deep/er", false}};
    CHECK(rig.run(spec).exit_code == 0);
    CHECK(rig.log("a").find("input\ninner\ninput\n") == 0);
    CHECK(rig.log("a").find("written") == std::string::npos);
    CHECK(rig.log("a").ends_with("input\n"));
    CHECK(read_file(volume / "out") == "out\n");
  }
  SUBCASE("missing mount points in folders of the host, whose other entries stay") {
    size_t before = static_cast<size_t>(std::distance(fs::directory_iterator("/etc"), fs::directory_iterator()));
    ProcessSpec spec = rig.shell("a",
                                 "cat /etc/new/deep/in /usr/lib/new/in /minio/bucket/in /dev/mine/in; "
                                 "test -s /etc/passwd && grep -q root /etc/passwd && echo passwd; ls /etc | wc -l; "
                                 "ls -A /minio; test -c /dev/null && echo null");
    for (const char* target : {"/etc/new/deep", "/usr/lib/new", "/minio/bucket", "/dev/mine"}) {
      spec.mounts.push_back({volume, target, false});
    }
    CHECK(rig.run(spec).exit_code == 0);
    CHECK(rig.log("a").find("input\ninput\ninput\ninput\npasswd\n") == 0);
    CHECK(rig.log("a").ends_with("bucket\nnull\n"));
    CHECK_FALSE(fs::exists("/etc/new"));
    CHECK(before == static_cast<size_t>(std::distance(fs::directory_iterator("/etc"), fs::directory_iterator())));
    // Another task sees none of it.
    rig.run(rig.shell("b", "ls -A /minio; ls -d /etc/new 2>/dev/null"));
    CHECK(rig.log("b") == "");
  }
  SUBCASE("what cannot be mounted is said") {
    auto message = [&](const fs::path& source, const std::string& target) {
      ProcessSpec spec = rig.shell("bad", "echo started");
      spec.mounts = {{source, target, false}};
      ProcessStatus status = rig.run(spec);
      CHECK(status.exit_code == 126);
      return status.message;
    };
    CHECK(message(volume, "relative") == "the mount path \"relative\" is not absolute: begin it with \"/\"");
    CHECK(message(volume, "/a/../b") == "the mount path \"/a/../b\" holds \"..\": write the path that is meant");
    CHECK(message(volume, "//") == "the mount path \"//\" is the root: choose a folder below it");
    CHECK(message(volume, "/.penstock/data") == "the mount path \"/.penstock/data\" is reserved");
    CHECK(message(volume / "missing", "/x") == "mount at \"/x\": No such file or directory");
    CHECK(message("/no/where", "/x").starts_with("the source /no/where of the mount at /x"));
    CHECK(message(volume, "/etc/passwd/x") == "mount at \"/etc/passwd/x\": Not a directory");
    CHECK(rig.log("bad") == "");
  }
  SUBCASE("symbolic links in volumes lead nowhere outside") {
    write_file(rig.data() / "secret", "secret");
    fs::create_symlink("/.penstock/data", volume / "escape");
    fs::create_symlink(rig.data(), volume / "escape2");
    fs::create_symlink("/proc/1/cwd", volume / "escape3");
    fs::path other = rig.make_folder("other");
    for (const char* link : {"escape", "escape2", "escape3"}) {
      ProcessSpec spec = rig.shell("target", "true");
      spec.mounts = {{volume, "/vol", false}, {other, std::string("/vol/") + link + "/made/here", false}};
      rig.run(spec);
      spec = rig.shell("source", "cat /x/secret");
      spec.mounts = {{volume / link, "/x", false}};
      CHECK(rig.run(spec).exit_code != 0);
      CHECK(rig.log("source").find("secret\n") == std::string::npos);
    }
    CHECK_FALSE(fs::exists(rig.data() / "made"));
  }
}

TEST_CASE("limits of memory, processes and logs") {
  for (bool sandbox : {true, false}) {
    CAPTURE(sandbox);
    SpawnerRig rig(sandbox);
    if (sandbox && !sandboxed(rig)) continue;
    ProcessSpec spec = rig.shell("memory", "exec python3 -c \"\nb = []\nwhile True: b.append(bytearray(1 << 20))\"");
    spec.memory_limit = 100 << 20;
    ProcessStatus status = rig.run(spec);
    CHECK(status.oom_killed);
    CHECK(status.exit_code == 137);
    spec = rig.shell("little", "exec python3 -c 'bytearray(10 << 20)'");
    spec.memory_limit = 200 << 20;
    spec.cpu_limit = 0.5;
    status = rig.run(spec);
    CHECK_FALSE(status.oom_killed);
    CHECK(status.exit_code == 0);
    if (geteuid() == 0) CHECK(status.message == "");

    spec = rig.shell("bomb", "i=0; while [ $i -lt 300 ]; do sleep 100 & i=$((i+1)); done; echo all");
    spec.pids_limit = 50;
    rig.run(spec);
    if (rig.run(rig.shell("after", "true")).message.empty()) CHECK(rig.log("bomb").find("all") == std::string::npos);

    spec = rig.shell("log", "head -c 300000000 /dev/zero | tr '\\0' x; echo end");
    spec.log_limit = 10 << 20;
    CHECK(rig.run(spec).exit_code == 0);
    struct stat info = {};
    stat(spec.log.c_str(), &info);
    CHECK(info.st_size > 300000000);
    CHECK(info.st_blocks * 512 < (11 << 20));
    std::ifstream log(spec.log);
    std::string head(3 << 20, '\0');
    log.read(head.data(), static_cast<std::streamsize>(head.size()));
    CHECK(head.find("its middle part is left out here") != std::string::npos);
  }
}

// The same tests as another user, when this is root.
TEST_CASE("ordinary users can do all this too") {
  if (geteuid() != 0 || access("/usr/bin/setpriv", X_OK) != 0) return;
  std::string program = fs::read_symlink("/proc/self/exe");
  std::string drop = "setpriv --reuid 65534 --regid 65534 --clear-groups ";
  if (std::system((drop + "test -x " + program).c_str()) != 0) {
    MESSAGE("not tested here: other users cannot run ", program);
    return;
  }
  int status = std::system((drop + program + " -sf='*/host/*' -m").c_str());
  CHECK(WEXITSTATUS(status) == 0);
}
