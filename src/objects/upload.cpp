#include "objects/upload.h"

#include <array>
#include <cstring>
#include <fcntl.h>
#include <mutex>

#include "objects/engine_state.h"

namespace penstock::objects {

namespace {
// Up to here hashing costs less than handing it to another thread.
constexpr size_t kInline = 32 * 1024;
constexpr size_t kBuffer = 256 * 1024;
// So often the disk is told to begin: the sync at the end finds little left to do.
constexpr uint64_t kWriteBehind = 8u << 20;

Staged stage(std::string data, const std::vector<Algorithm>& extra) {
  Staged out;
  out.size = data.size();
  out.crc = crc32c(0, data);
  out.md5 = digest_of(Algorithm::Md5, data);
  out.sha256 = digest_of(Algorithm::Sha256, data);
  for (const Algorithm algorithm : extra) out.extra.push_back(digest_of(algorithm, data));
  out.data = std::move(data);
  return out;
}

}  // namespace

Staged::File::~File() {
  if (!kept && !path.empty()) ::unlink(path.c_str());
}

// One buffer is filled while the other one's bytes are worked on by two threads: one takes the MD5, which costs as much
// as all the rest, the other the other hashes, and writes.
struct Upload::Large : std::enable_shared_from_this<Large> {
  Large(Engine::State& state, const std::vector<Algorithm>& algorithms) {
    for (const Algorithm algorithm : algorithms) extra.emplace_back(algorithm);
    file = std::make_unique<Staged::File>();
    file->number = state.new_file_number();
    file->path = state.temporary_path(file->number);
    fd = Descriptor(::open(file->path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd) throw_disk("creating an object's file");
    for (auto& buffer : buffers) buffer = std::make_unique_for_overwrite<char[]>(kBuffer);
  }

  std::unique_ptr<Staged::File> file;
  Descriptor fd;
  uint32_t crc = 0;
  Digest md5{Algorithm::Md5}, sha256{Algorithm::Sha256};
  std::vector<Digest> extra;
  std::array<std::unique_ptr<char[]>, 2> buffers;
  size_t filling = 0, filled = 0;
  uint64_t written = 0, pushed = 0;

  std::mutex mutex;  // over what follows
  int running = 0;
  std::exception_ptr error;
  ExternalDone waiting;

  // Returns how much of it there was room for.
  size_t fill(std::string_view piece) {
    const size_t taken = std::min(kBuffer - filled, piece.size());
    std::memcpy(buffers[filling].get() + filled, piece.data(), taken);
    filled += taken;
    return taken;
  }

  // Works on what has been filled; nothing must be running.
  void start(BlockingPool& pool) {
    const std::string_view bytes(buffers[filling].get(), filled);
    filling = 1 - filling;
    filled = 0;
    running = 2;
    pool.post([self = shared_from_this(), bytes] {
      self->md5.update(bytes);
      self->end(nullptr);
    });
    pool.post([self = shared_from_this(), bytes] {
      std::exception_ptr failure;
      try {
        self->absorb(bytes);
      } catch (...) {
        failure = std::current_exception();
      }
      self->end(std::move(failure));
    });
  }

  void absorb(std::string_view bytes) {
    crc = crc32c(crc, bytes);
    sha256.update(bytes);
    for (Digest& digest : extra) digest.update(bytes);
    write_all(fd.get(), bytes);
    written += bytes.size();
    if (written - pushed < kWriteBehind) return;
    ::sync_file_range(fd.get(), static_cast<off_t>(pushed), static_cast<off_t>(written - pushed),
                      SYNC_FILE_RANGE_WRITE);
    pushed = written;
  }

  void end(std::exception_ptr failure) {
    ExternalDone done;
    {
      const std::lock_guard lock(mutex);
      if (failure && !error) error = std::move(failure);
      if (--running == 0) done = std::exchange(waiting, nullptr);
    }
    if (done) done(nullptr);
  }

  // Until nothing is running; throws what it has met.
  Async<> settle() {
    if (!settled()) {
      const auto wait = [this](ExternalDone done) {
        {
          const std::lock_guard lock(mutex);
          if (running > 0) {
            waiting = std::move(done);
            return;
          }
        }
        done(nullptr);
      };
      co_await await_external(wait);
    }
    if (error) std::rethrow_exception(error);
  }
  bool settled() {
    const std::lock_guard lock(mutex);
    return running == 0;
  }

  Staged close(const Engine::State& state) {
    const std::string_view rest(buffers[filling].get(), filled);
    md5.update(rest);
    absorb(rest);
    Staged out;
    out.size = written;
    out.crc = crc;
    out.md5 = md5.finish();
    out.sha256 = sha256.finish();
    for (Digest& digest : extra) out.extra.push_back(digest.finish());
    if (::fdatasync(fd.get()) != 0) throw_disk("syncing an object");
    fd = Descriptor();
    const auto path = state.file_path(file->number);
    if (::rename(file->path.c_str(), path.c_str()) != 0) throw_disk("storing an object");
    file->path = path;
    sync_folder(path.parent_path());
    out.file = std::move(file);
    return out;
  }
};

Upload::Upload(Engine& engine, std::vector<Algorithm> extra) : engine_(engine), extra_(std::move(extra)) {}

Async<> Upload::write(std::string_view piece) {
  size_ += piece.size();
  if (size_ <= kSmall) {
    small_ += piece;
    co_return;
  }
  auto& pool = engine_.pool();
  if (!large_) {
    const auto open = [&] { return std::make_shared<Large>(*engine_.state_, extra_); };
    large_ = co_await pool.run(open);
    large_->fill(small_);
    small_ = {};
  }
  while (true) {
    piece.remove_prefix(large_->fill(piece));
    if (piece.empty()) co_return;
    co_await large_->settle();
    large_->start(pool);
  }
}

Async<Staged> Upload::finish() {
  if (large_) {
    co_await large_->settle();
    const auto close = [&] { return large_->close(*engine_.state_); };
    co_return co_await engine_.pool().run(close);
  }
  if (size_ <= kInline) co_return stage(std::move(small_), extra_);
  const auto hash = [&] { return stage(std::move(small_), extra_); };
  co_return co_await engine_.pool().run(hash);
}

}  // namespace penstock::objects
