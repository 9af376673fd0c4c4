#include "objects/remote/transfer.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <thread>

#include "base/clock.h"
#include "objects/descriptor.h"
#include "objects/remote/http_remote.h"

namespace penstock::objects {

namespace fs = std::filesystem;

namespace {

constexpr size_t kPage = 1'000;
constexpr std::chrono::milliseconds kLongest{10'000};

bool worth_another_try(Code code) {
  return code == Code::Unavailable || code == Code::DeadlineExceeded || code == Code::ResourceExhausted;
}

// Does work(0) … work(count - 1), several at once. The first error ends it and is thrown.
void in_parallel(size_t workers, size_t count, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto run = [&] {
    for (size_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        next = count;
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (size_t i = 1; i < std::min(workers, count); ++i) threads.emplace_back(run);
    run();
  }
  if (failure) std::rethrow_exception(failure);
}

// "" or "/a/b": the rest of a key as a path. Throws InvalidArgument.
fs::path path_of_rest(const Remote& remote, const std::string& key, std::string_view rest) {
  fs::path path;
  while (!rest.empty()) {
    const size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, slash);
    if (part.empty() || part == "." || part == ".." || part.size() > 255 || part.find('\0') != std::string_view::npos) {
      throw invalid("{}: the object cannot be a file: its key has the part {:?}", remote.name_of(key),
                    std::string(part));
    }
    path /= part;
    rest.remove_prefix(std::min(slash + 1, rest.size()));
  }
  return path;
}

class Fetch {
 public:
  Fetch(Remote& remote, const TransferOptions& options) : remote_(remote), options_(options) {}

  void file(const RemoteObject& object, const fs::path& path) const {
    const Descriptor out(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!out && (errno == EISDIR || errno == ENOTDIR || errno == EEXIST)) {
      throw invalid("{}: there is an object below it too, and a file is no folder", remote_.name_of(object.key));
    }
    if (!out) throw_disk("writing " + remote_.name_of(object.key));
    check_room(object, path);
    const uint64_t size = object.size;
    const bool whole = size == kUnknownSize || size <= options_.piece;
    const size_t pieces = whole ? 1 : (size + options_.piece - 1) / options_.piece;
    in_parallel(options_.workers, pieces, [&](size_t i) {
      const uint64_t offset = i * options_.piece;
      piece(object, out.get(), offset, whole ? size : std::min(options_.piece, size - offset));
    });
  }

  // A page of objects below `prefix`; a key that ends in "/" stands for an empty folder.
  void page(const RemotePage& page, const std::string& prefix, const fs::path& folder) const {
    in_parallel(options_.workers, page.objects.size(), [&](size_t i) {
      const RemoteObject& object = page.objects[i];
      std::string_view rest = std::string_view(object.key).substr(prefix.size());
      const bool is_folder = rest.empty() || rest.ends_with('/');
      if (rest.ends_with('/')) rest.remove_suffix(1);
      const fs::path path = folder / path_of_rest(remote_, object.key, rest);
      std::error_code error;
      fs::create_directories(is_folder ? path : path.parent_path(), error);
      if (error == std::errc::not_a_directory || error == std::errc::file_exists) {
        throw invalid("{}: an object above it is a file", remote_.name_of(object.key));
      }
      if (error) throw Error(Code::Internal, fmt::format("{}: {}", path.string(), error.message()));
      if (!is_folder) file(object, path);
    });
  }

 private:
  // A full disk is said before hours of fetching.
  void check_room(const RemoteObject& object, const fs::path& path) const {
    struct statvfs disk {};
    if (object.size == kUnknownSize || ::statvfs(path.parent_path().c_str(), &disk) != 0) return;
    const uint64_t room = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
    if (object.size > room) {
      throw Error(Code::FailedPrecondition, fmt::format("{}: it has {} bytes, and this machine's disk has room for {}",
                                                        remote_.name_of(object.key), object.size, room));
    }
  }

  void piece(const RemoteObject& object, int out, uint64_t offset, uint64_t length) const {
    uint64_t done = 0;
    with_retries(options_, [&] {
      // Of unknown length: from the start again. Else from where it broke off.
      if (length == kUnknownSize) done = 0;
      const uint64_t left = length == kUnknownSize ? length : length - done;
      remote_.read(object, offset + done, left, [&](std::string_view bytes) {
        std::vector<iovec> parts{{const_cast<char*>(bytes.data()), bytes.size()}};
        write_parts(out, parts, offset + done);
        done += bytes.size();
        return true;
      });
      if (length == kUnknownSize && ::ftruncate(out, static_cast<off_t>(done)) != 0) throw_disk("writing");
    });
  }

  Remote& remote_;
  const TransferOptions& options_;
};

// Removes what was half-made.
struct Fresh {
  fs::path path;
  ~Fresh() {
    std::error_code error;
    fs::remove_all(path, error);
  }
};

// One file of a folder that a task has made.
struct Item {
  fs::path path;  // below the folder
  bool folder = false;
};

class PutTree {
 public:
  PutTree(Remote& remote, const fs::path& folder, const std::string& key, const TransferOptions& options)
      : remote_(remote),
        folder_(folder),
        key_(key),
        options_(options),
        root_(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) {
    if (!root_) throw_errno("opening " + folder.string());
  }

  void run() const {
    std::vector<Item> items;
    for (fs::recursive_directory_iterator it(folder_), end; it != end; ++it) {
      const auto type = it->symlink_status().type();
      const bool empty = type == fs::file_type::directory && fs::is_empty(it->path());
      if (type == fs::file_type::directory && !empty) continue;
      items.push_back({it->path().lexically_relative(folder_), empty});
      if (items.size() < kPage) continue;
      send(items);
      items.clear();
    }
    send(items);
  }

 private:
  void send(const std::vector<Item>& items) const {
    // Large ones send their own parts at once.
    in_parallel(options_.workers, items.size(), [&](size_t i) {
      const std::string key = key_ + "/" + items[i].path.generic_string();
      if (!items[i].folder) return send_file(items[i].path, key);
      const Descriptor nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
      with_retries(options_, [&] { remote_.put(key + "/", nothing.get(), 0); });
    });
  }

  void send_file(const fs::path& path, const std::string& key) const {
    open_how how{};
    how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    const Descriptor file(static_cast<int>(::syscall(SYS_openat2, root_.get(), path.c_str(), &how, sizeof how)));
    struct stat info {};
    if (!file || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
      throw invalid("{} cannot be put to {}: it is no file, or a link to something that is no file beside it",
                    path.string(), remote_.name_of(key));
    }
    const auto size = static_cast<uint64_t>(info.st_size);
    std::unique_ptr<RemoteUpload> upload;
    with_retries(options_, [&] {
      upload = remote_.begin_upload(key, size);
      if (!upload) remote_.put(key, file.get(), size);
    });
    if (!upload) return;
    const uint64_t part = upload->part_size();
    in_parallel(options_.workers, (size + part - 1) / part, [&](size_t i) {
      with_retries(options_, [&] { upload->send(i, file.get(), std::min(part, size - i * part)); });
    });
    with_retries(options_, [&] { upload->finish(); });
  }

  Remote& remote_;
  const fs::path& folder_;
  const std::string& key_;
  const TransferOptions& options_;
  Descriptor root_;
};

}  // namespace

void with_retries(const TransferOptions& options, const std::function<void()>& work) {
  auto pause = options.pause;
  for (int left = options.retries;; --left) {
    try {
      work();
      return;
    } catch (const Error& error) {
      if (left <= 0 || !worth_another_try(error.code())) throw;
    }
    options.stop->wait(pause);
    pause = std::min(pause * 2, kLongest);
  }
}

void fetch_tree(Remote& remote, const std::string& key, const fs::path& target, const TransferOptions& options) {
  std::error_code error;
  if (fs::exists(fs::symlink_status(target, error))) return;
  fs::create_directories(target.parent_path());
  const Fresh fresh{target.parent_path() / (".fetch-" + new_uuid())};
  const Fetch fetch(remote, options);
  std::optional<RemoteObject> object;
  if (!key.ends_with('/')) with_retries(options, [&] { object = remote.find(key); });
  if (object) {
    fetch.file(*object, fresh.path);
  } else {
    const std::string prefix = key.empty() || key.ends_with('/') ? key : key + "/";
    RemotePage page;
    bool any = false;
    do {
      with_retries(options, [&, token = page.next] { page = remote.list(prefix, token, kPage); });
      any = any || !page.objects.empty();
      if (any) fs::create_directories(fresh.path);
      fetch.page(page, prefix, fresh.path);
    } while (!page.next.empty());
    if (!any) throw not_found("there is no object {}", remote.name_of(key));
  }
  fs::rename(fresh.path, target);
}

void put_tree(Remote& remote, const fs::path& folder, const std::string& key, const TransferOptions& options) {
  PutTree(remote, folder, key, options).run();
}

void remove_tree(Remote& remote, const std::string& key, const TransferOptions& options) {
  with_retries(options, [&] { remote.remove(key); });
  RemotePage page;
  do {
    with_retries(options, [&, token = page.next] { page = remote.list(key + "/", token, kPage); });
    in_parallel(options.workers, page.objects.size(),
                [&](size_t i) { with_retries(options, [&] { remote.remove(page.objects[i].key); }); });
  } while (!page.next.empty());
}

bool exists(Remote& remote, const std::string& key, const TransferOptions& options) {
  bool there = false;
  with_retries(options, [&] {
    there = (!key.ends_with('/') && remote.find(key).has_value()) ||
            !remote.list(key.empty() || key.ends_with('/') ? key : key + "/", "", 1).objects.empty();
  });
  return there;
}

}  // namespace penstock::objects
