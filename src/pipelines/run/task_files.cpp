#include "pipelines/run/task_files.h"

#include <cerrno>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"

namespace penstock::pipelines {

namespace {

constexpr size_t kMaxFile = 64u << 20;
constexpr std::string_view kParameters = "kfp/outputs";
constexpr std::string_view kExecutorOutput = "kfp_outputs/output_metadata.json";

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

// Opens `name` as if `folder` were the root: links, whoever made them, stay inside.
int open_inside(int folder, const std::string& name) {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, folder, name.c_str(), &how, sizeof how));
}

std::optional<std::string> read_inside(int folder, const std::string& name) {
  const Descriptor file(open_inside(folder, name));
  if (file.get() < 0) {
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EXDEV) return std::nullopt;
    throw_errno(fmt::format("cannot read {}", name));
  }
  struct stat info {};
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    throw invalid("the output file {} is no regular file", name);
  }
  if (static_cast<size_t>(info.st_size) > kMaxFile) {
    throw invalid("the output file {} has {} bytes; a parameter may have {}: use an artifact", name, info.st_size,
                  kMaxFile);
  }
  std::string text(static_cast<size_t>(info.st_size), '\0');
  size_t at = 0;
  while (at < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + at, text.size() - at);
    if (got < 0) throw_errno(fmt::format("cannot read {}", name));
    if (got == 0) break;
    at += static_cast<size_t>(got);
  }
  text.resize(at);
  return text;
}

}  // namespace

std::filesystem::path task_folder(const std::filesystem::path& data, std::string_view run_id, engine::TaskId task,
                                  int attempt) {
  return data / "tasks" / run_id / fmt::format("{}-{}", task, attempt);
}

engine::PathMap paths_in(const std::filesystem::path& folder, const std::filesystem::path& objects, bool sandbox) {
  engine::PathMap paths;
  if (sandbox) return paths;
  paths.prefixes.insert(paths.prefixes.begin(), {"minio://", objects.string() + "/"});
  paths.parameter_folder = folder / kParameters;
  paths.executor_output_file = folder / kExecutorOutput;
  paths.custom_paths = true;
  return paths;
}

namespace {

// False when it is there already.
bool make_folder(const std::filesystem::path& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0) return true;
  if (errno == ENOENT) {
    std::filesystem::create_directories(path.parent_path());
    if (::mkdir(path.c_str(), mode) == 0) return true;
  }
  if (errno == EEXIST) return false;
  if (errno == ENOSPC || errno == EDQUOT) {
    throw Error(Code::ResourceExhausted, fmt::format("the disk is full: cannot make {}", path.string()));
  }
  throw_errno(fmt::format("cannot make {}", path.string()));
}

// Empties `folder` but for the subfolders named by `kept` ("kfp/outputs"), which must be real folders to stay.
void empty_folder(const std::filesystem::path& folder, const std::set<std::string>& kept, const std::string& below) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = below + entry.path().filename().string();
    if (kept.contains(name) && entry.symlink_status().type() == std::filesystem::file_type::directory) {
      empty_folder(entry.path(), kept, name + "/");
    } else {
      std::filesystem::remove_all(entry.path());
    }
  }
}

}  // namespace

TaskFolders::TaskFolders(const std::filesystem::path& data) : free_(data / "tasks" / ".free") {
  std::filesystem::create_directories(free_);
  for (const auto& entry : std::filesystem::directory_iterator(free_)) {
    if (waiting_.size() < kMaxFree) waiting_.push_back(entry.path());
    next_ = std::max<uint64_t>(next_, std::strtoull(entry.path().filename().c_str(), nullptr, 10) + 1);
  }
}

void TaskFolders::make(const std::filesystem::path& folder, bool has_outputs) {
  std::filesystem::path used;
  {
    const std::lock_guard lock(mutex_);
    if (!waiting_.empty()) {
      used = std::move(waiting_.back());
      waiting_.pop_back();
    }
  }
  // A folder of that name was left by a server that died between this and the pod's creation.
  if (::access(folder.c_str(), F_OK) == 0) remove_folder(folder);
  bool made = false;
  if (!used.empty()) {
    made = ::rename(used.c_str(), folder.c_str()) == 0;
    if (!made && errno == ENOENT) {
      std::filesystem::create_directories(folder.parent_path());
      made = ::rename(used.c_str(), folder.c_str()) == 0;
    }
  }
  if (!made) make_folder(folder, 0700);
  if (!has_outputs) return;
  make_folder(folder / "kfp", 0755);
  make_folder(folder / kParameters, 0755);
  make_folder(folder / "kfp_outputs", 0755);
}

void TaskFolders::give_back(const std::filesystem::path& folder) noexcept {
  try {
    empty_folder(folder, {"kfp", "kfp/outputs", "kfp_outputs"}, "");
    if (::chmod(folder.c_str(), 0700) != 0) throw_errno("chmod");
    std::filesystem::path waiting;
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.size() < kMaxFree) waiting = free_ / std::to_string(next_++);
    }
    if (waiting.empty()) {
      remove_folder(folder);
      return;
    }
    std::filesystem::rename(folder, waiting);
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(waiting));
  } catch (const std::exception&) {
    // A name that is gone already, or what cannot be emptied.
    remove_folder(folder);
  }
}

TaskResults read_task_results(const std::filesystem::path& folder, const std::vector<std::string>& parameters) {
  TaskResults results;
  const Descriptor root(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (root.get() < 0) throw_errno(fmt::format("the task's folder {} is gone", folder.string()));
  if (auto text = read_inside(root.get(), std::string(kExecutorOutput)); text && !text->empty()) {
    try {
      results.executor_output = parse_json(*text);
    } catch (const Error& error) {
      throw invalid("the executor's output is {}", error.message());
    }
  }
  for (const auto& name : parameters) {
    if (auto text = read_inside(root.get(), std::string(kParameters) + "/" + engine::path_segment(name))) {
      results.parameter_files.emplace(name, std::move(*text));
    }
  }
  return results;
}

void remove_folder(const std::filesystem::path& folder) noexcept {
  std::error_code error;
  // A task's folder may go while its run's does: what is gone already is no failure, but ends remove_all.
  do {
    std::filesystem::remove_all(folder, error);
  } while (error == std::errc::no_such_file_or_directory);
  if (error) spdlog::warn("cannot remove {}: {}", folder.string(), error.message());
}

}  // namespace penstock::pipelines
