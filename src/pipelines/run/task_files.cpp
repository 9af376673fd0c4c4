#include "pipelines/run/task_files.h"

#include <cerrno>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/utf8.h"

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

void make_folder(const std::filesystem::path& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return;
  if (errno == ENOSPC || errno == EDQUOT) {
    throw Error(Code::ResourceExhausted, fmt::format("the disk is full: cannot make {}", path.string()));
  }
  throw_errno(fmt::format("cannot make {}", path.string()));
}

// The subfolders of a folder for outputs; each is made after the one that it is in.
const std::set<std::string> kOutputFolders{"kfp", std::string(kParameters), "kfp_outputs"};

void make_output_folders(const std::filesystem::path& folder) {
  for (const auto& name : kOutputFolders) make_folder(folder / name, 0755);
}

bool is_real_folder(const std::filesystem::path& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// Empties `folder` but for the subfolders named by `kept` ("kfp/outputs"), which must be real folders to stay. The task
// that is over may have changed what is allowed on them.
void empty_folder(const std::filesystem::path& folder, const std::set<std::string>& kept, const std::string& below) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = below + entry.path().filename().string();
    if (kept.contains(name) && entry.symlink_status().type() == std::filesystem::file_type::directory) {
      if (::chmod(entry.path().c_str(), 0755) != 0) throw_errno("chmod");
      empty_folder(entry.path(), kept, name + "/");
    } else {
      std::filesystem::remove_all(entry.path());
    }
  }
}

}  // namespace

TaskFolders::TaskFolders(const std::filesystem::path& data) : root_(data / "tasks") {
  std::filesystem::create_directories(root_);
  for (const auto& entry : std::filesystem::directory_iterator(root_)) earlier_.insert(entry.path().filename());
}

TaskFolders::Lent TaskFolders::lend(const std::string& owner, bool for_outputs) {
  const std::lock_guard lock(mutex_);
  auto& free = for_outputs || plain_.empty() ? with_outputs_ : plain_;
  if (free.empty() || earlier_.erase(owner) > 0) {
    lent_[owner] = owner;
    return {root_ / owner, false};
  }
  Lent lent{std::move(free.back()), true};
  free.pop_back();
  lent_[lent.path.filename()] = owner;
  return lent;
}

void TaskFolders::claim(const std::filesystem::path& folder, const std::string& owner) {
  const std::lock_guard lock(mutex_);
  earlier_.erase(folder.filename());
  lent_[folder.filename()] = owner;
}

void TaskFolders::make(const std::filesystem::path& folder, bool for_outputs) {
  make_folder(folder, 0700);
  if (for_outputs) make_output_folders(folder);
}

void TaskFolders::give_back(const std::filesystem::path& folder, const std::string& owner, bool clean) noexcept {
  if (folder.parent_path() != root_) return;
  {
    const std::lock_guard lock(mutex_);
    if (const auto lent = lent_.find(folder.filename()); lent != lent_.end()) {
      if (lent->second != owner) return;
      lent_.erase(lent);
    } else if (earlier_.erase(folder.filename()) == 0) {
      return;
    }
  }
  if (!clean) return remove_folder(folder);
  try {
    if (::chmod(folder.c_str(), 0700) != 0) throw_errno("chmod");
    empty_folder(folder, kOutputFolders, "");
    bool for_outputs = true;
    for (const auto& name : kOutputFolders) for_outputs = for_outputs && is_real_folder(folder / name);
    const std::lock_guard lock(mutex_);
    if (plain_.size() + with_outputs_.size() < kMaxFree) {
      (for_outputs ? with_outputs_ : plain_).push_back(folder);
      return;
    }
  } catch (const std::exception&) {
    // It is gone already, or cannot be emptied.
  }
  remove_folder(folder);
}

void TaskFolders::reclaim(const std::set<std::filesystem::path>& used) noexcept {
  std::set<std::string> names;
  {
    const std::lock_guard lock(mutex_);
    names = earlier_;
  }
  for (const auto& name : names) {
    if (const auto folder = root_ / name; !used.contains(folder)) give_back(folder, {});
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

void keep_artifact(const std::filesystem::path& folder, const std::filesystem::path& name,
                   const std::filesystem::path& target, bool move) {
  const Descriptor root(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (root.get() < 0) throw_errno(fmt::format("the task's folder {} is gone", folder.string()));
  const Descriptor found(open_inside(root.get(), name));
  if (found.get() < 0) throw invalid("the task left no artifact at its custom path {}", name.string());
  // No process of the task runs any more: what the path leads to now, it leads to in the next line too.
  const auto source = std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", found.get()));
  std::filesystem::create_directories(target.parent_path());
  std::filesystem::remove_all(target);
  std::error_code error;
  if (move) std::filesystem::rename(source, target, error);
  if (move && !error) return;
  std::filesystem::copy(source, target,
                        std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks);
}

std::optional<std::string> read_task_file(const std::filesystem::path& folder, const std::string& name) {
  const Descriptor root(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (root.get() < 0) return std::nullopt;
  auto text = read_inside(root.get(), name);
  if (text && !is_utf8(*text)) throw invalid("the output file {} is not UTF-8 text: bytes go into an artifact", name);
  return text;
}

bool has_task_file(const std::filesystem::path& folder, const std::filesystem::path& name) {
  const Descriptor root(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (root.get() < 0) return false;
  return Descriptor(open_inside(root.get(), name)).get() >= 0;
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
