#include "node/host/sandbox.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "node/testing_agent.h"

using namespace penstock;
using namespace penstock::node;

TEST_CASE("sandbox: a maker that has ended is not waited for") {
  const TemporaryFolder folder;
  prctl(PR_SET_DUMPABLE, 1);
  Sandbox sandbox(folder.path(), {});
  if (!sandbox.problem().empty()) {
    MESSAGE("not tested here: ", sandbox.problem());
    return;
  }
  REQUIRE(kill(sandbox.maker_pid(), SIGKILL) == 0);
  siginfo_t info = {};
  REQUIRE(waitid(P_PID, static_cast<id_t>(sandbox.maker_pid()), &info, WEXITED | WNOWAIT) == 0);

  void* stacks = mmap(nullptr, 2 * kStackSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  REQUIRE(stacks != MAP_FAILED);
  sandbox.make_spare(static_cast<char*>(stacks));
  CHECK(sandbox.spare_pids().empty());
  LaunchPlan plan;
  CHECK(sandbox.launch(plan)->pid == -ESRCH);
  sandbox.attach(plan, -1);
  CHECK(plan.error == ESRCH);
  CHECK(sandbox.drop_spares().empty());
  munmap(stacks, 2 * kStackSize);
}
