#include "node/interpreter.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"

extern "C" char** environ;

namespace penstock::node {

namespace fs = std::filesystem;

namespace {

// Run with -I: what a user's own settings would add is not there for steps either. A venv's interpreter stays the link
// that it is, since the link's place is what makes it the venv's.
constexpr std::string_view kProbe = R"(
import importlib.util, json, os, sys, sysconfig
def have(name):
    try:
        return importlib.util.find_spec(name) is not None
    except Exception:
        return False
venv = sys.prefix != sys.base_prefix
answer = {
    "executable": os.path.abspath(sys.executable) if venv else os.path.realpath(sys.executable),
    "version": " ".join(sys.version.split()),
    "number": list(sys.version_info[:2]),
    "has_pip": have("pip"),
    "in_venv": venv,
    "venv_packages": sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}) if venv else [],
}
with open(sys.argv[1], "w") as out:
    json.dump(answer, out)
folder = sys.argv[2]
marker = os.path.join(folder, ".compiled-" + (sys.implementation.cache_tag or ""))
if folder and not os.path.exists(marker) and sys.version_info >= (3, 8):
    try:
        import compileall, py_compile
        compileall.compile_dir(folder, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        open(marker, "w").close()
    except OSError:
        pass
)";

std::vector<fs::path> candidates(const InterpreterSearch& search) {
  const std::string name = search.python.empty() ? "python3" : search.python.string();
  if (name.find('/') != std::string::npos) return {fs::absolute(name)};
  std::vector<fs::path> found;
  std::string_view rest = search.path;
  while (!rest.empty()) {
    const std::string_view dir = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(rest.size(), dir.size() + 1));
    if (!dir.starts_with('/')) continue;
    const fs::path candidate = fs::path(dir) / name;
    struct stat info {};
    if (::access(candidate.c_str(), X_OK) != 0 || ::stat(candidate.c_str(), &info) != 0 || !S_ISREG(info.st_mode))
      continue;
    found.push_back(candidate);
  }
  return found;
}

Interpreter read_answer(const fs::path& file) {
  Interpreter found;
  const auto value = parse_json(read_tail(file, 0, 1 << 20));
  const auto& answer = value.as_object();
  const auto* number = find_array(answer, "number");
  if (number == nullptr || number->size() != 2) throw internal("its answer is not complete");
  const auto major = number->at(0).to_number<int>(), minor = number->at(1).to_number<int>();
  found.version = get_string(answer, "version");
  if (major != 3 || minor < 8) {
    found.problem = fmt::format("it is Python {}.{}, and 3.8 or newer is needed", major, minor);
    return found;
  }
  found.executable = get_string(answer, "executable");
  found.has_pip = get_bool(answer, "has_pip");
  found.in_venv = get_bool(answer, "in_venv");
  if (const auto* folders = find_array(answer, "venv_packages")) {
    for (const auto& folder : *folders) found.venv_packages.push_back(to_std(folder.as_string()));
  }
  return found;
}

Async<Interpreter> ask(ProcessRunner& runner, const InterpreterSearch& search, fs::path candidate) {
  const std::string name = "probe-" + random_suffix(10);
  const fs::path answer = search.scratch / (name + ".json");
  ProcessSpec spec;
  spec.id = "env/" + name;
  spec.argv = {candidate.string(), "-I", "-c", std::string(kProbe), answer.string(), search.compile.string()};
  spec.env = server_environment();
  std::error_code ignored;
  spec.cwd = fs::current_path(ignored).string();  // shims look for a project's version there
  if (spec.cwd.empty()) spec.cwd = "/";
  spec.log = search.scratch / (name + ".log");
  spec.sandbox = false;
  const fs::path log = spec.log;
  const ProcessStatus status = co_await runner.run(std::move(spec));
  Interpreter found;
  if (status.exit_code == 0) {
    try {
      found = read_answer(answer);
    } catch (const std::exception& e) {
      found.problem = e.what();
    }
  } else {
    found.problem = status.message.empty() ? read_tail(log, 0, 500) : status.message;
  }
  fs::remove(answer, ignored);
  fs::remove(log, ignored);
  co_return found;
}

}  // namespace

Async<Interpreter> find_interpreter(ProcessRunner& runner, InterpreterSearch search) {
  std::string problems;
  for (const auto& candidate : candidates(search)) {
    Interpreter found = co_await ask(runner, search, candidate);
    if (!found.executable.empty()) co_return found;
    problems += fmt::format("{}{}: {}", problems.empty() ? "" : "; ", candidate.string(), found.problem);
  }
  Interpreter none;
  const std::string name = search.python.empty() ? "python3" : search.python.string();
  none.problem = problems.empty() ? fmt::format("there is no {} in PATH ({})", name, search.path) : problems;
  co_return none;
}

std::vector<std::string> server_environment() {
  std::vector<std::string> result;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view variable = *entry;
    if (!variable.starts_with("PYTHON") && !variable.starts_with("PIP_TARGET=") &&
        !variable.starts_with("PIP_PREFIX=") && !variable.starts_with("PIP_USER=") &&
        !variable.starts_with("PIP_REQUIRE_VIRTUALENV=")) {
      result.emplace_back(variable);
    }
  }
  return result;
}

std::string read_tail(const fs::path& path, uint64_t offset, size_t limit) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  struct stat info {};
  std::string text;
  if (::fstat(fd, &info) == 0 && static_cast<uint64_t>(info.st_size) > offset) {
    const uint64_t size = static_cast<uint64_t>(info.st_size);
    const uint64_t begin = std::max(offset, size > limit ? size - limit : 0);
    text.resize(size - begin);
    const ssize_t got = ::pread(fd, text.data(), text.size(), static_cast<off_t>(begin));
    text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  }
  ::close(fd);
  return text;
}

void write_file(const fs::path& path, std::string_view text, unsigned mode) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0) throw_errno("cannot write " + path.string());
  while (!text.empty()) {
    const ssize_t put = ::write(fd, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      const int error = errno;
      ::close(fd);
      errno = error;
      throw_errno("cannot write " + path.string());
    }
    text.remove_prefix(static_cast<size_t>(put));
  }
  ::close(fd);
}

}  // namespace penstock::node
