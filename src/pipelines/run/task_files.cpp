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
    throw invalid("the output file {} has {} bytes; a parameter may have {}: use an artifact", name, info.st_size, kMaxFile);
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

void prepare_task_folder(const std::filesystem::path& folder, bool has_outputs) {
  auto make = [](const std::filesystem::path& path, mode_t mode) {
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
  };
  if (!make(folder, 0700)) {
    // Left by a server that died between this and the pod's creation.
    remove_folder(folder);
    make(folder, 0700);
  }
  if (!has_outputs) return;
  make(folder / "kfp", 0755);
  make(folder / kParameters, 0755);
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
  // Two removals may meet: of a task's folder and of its run's.
  if (error && error != std::errc::no_such_file_or_directory) {
    spdlog::warn("cannot remove {}: {}", folder.string(), error.message());
  }
}

}  // namespace penstock::pipelines
