// Mounts for a task whose namespaces were made by another process than its init: carried in from the template as
// detached trees, since the hidden folders are not to be seen there.
#include <cerrno>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>
#include <vector>

#include "node/host/sandbox_child.h"

namespace penstock::node {

namespace {

int open_one(const char* path) {
  int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  return tree < 0 ? -errno : tree;
}

int move_to(int tree, const char* target) {
  return move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) == 0 ? 0 : -errno;
}

void close_all(const std::vector<int>& files) {
  for (int file : files) {
    if (file >= 0) close(file);
  }
}

void fail(LaunchPlan& plan, const char* name, int result) {
  if (plan.error_step != nullptr) return;
  plan.error_step = "mount at";
  plan.error_name = name;
  plan.error = -result;
}

// In the task's namespace.
void attach_all(LaunchPlan& plan, int tmp, int root) {
  int result = 0;
  if (plan.tmp != nullptr) {
    result = move_to(tmp, "/tmp");
  } else if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") != 0) {
    result = -errno;
  }
  if (result == 0 && plan.var_tmp && mount("/tmp", "/var/tmp", nullptr, MS_BIND, nullptr) != 0) result = -errno;
  if (result != 0) return fail(plan, "/tmp", result);
  for (int i = 0; i < plan.mount_count; ++i) {
    int attached = attach_mount(plan.mounts[i], root);
    if (attached < 0) return fail(plan, plan.mounts[i].target, attached);
  }
}

}  // namespace

void attach_task_mounts(LaunchPlan& plan, int into, int own) {
  std::vector<int> opened;
  for (int i = 0; i < plan.mount_count; ++i) {
    plan.mounts[i].tree = -1;
    int result = detach_source(plan.mounts[i]);
    opened.push_back(plan.mounts[i].tree);
    if (result < 0) fail(plan, plan.mounts[i].target, result);
  }
  int tmp = plan.tmp == nullptr ? -1 : open_one(plan.tmp);
  if (plan.tmp != nullptr && tmp < 0) fail(plan, "/tmp", tmp);
  int root = open(kHiddenRoot, O_PATH | O_DIRECTORY | O_CLOEXEC);
  opened.insert(opened.end(), {tmp, root});
  if (root < 0) fail(plan, kHiddenRoot, -errno);
  if (plan.error_step == nullptr) {
    if (setns(into, CLONE_NEWNS) != 0) {
      fail(plan, "/", -errno);
    } else {
      attach_all(plan, tmp, root);
      // Without its own namespace the maker is of no use to anybody: the helper sees it end.
      if (setns(own, CLONE_NEWNS) != 0) _exit(1);
    }
  }
  close_all(opened);
}

int attach_proc_covers(const char* const* covers, int into, int own) {
  int result = 0;
  std::vector<int> trees;
  for (const char* const* cover = covers; *cover != nullptr && result == 0; cover += 2) {
    trees.push_back(open_one(cover[0]));
    if (trees.back() < 0) result = trees.back();
  }
  if (result == 0 && setns(into, CLONE_NEWNS) != 0) {
    result = -errno;
  } else if (result == 0) {
    for (size_t i = 0; i < trees.size() && result == 0; ++i) result = move_to(trees[i], covers[2 * i + 1]);
    if (setns(own, CLONE_NEWNS) != 0) _exit(1);
  }
  close_all(trees);
  return result;
}

}  // namespace penstock::node
