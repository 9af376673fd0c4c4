#include "objects/upload.h"

#include <fcntl.h>

#include "objects/engine_state.h"

namespace penstock::objects {

namespace {
// Up to here hashing and copying cost less than handing the piece to another thread.
constexpr size_t kInline = 32 * 1024;
}  // namespace

Staged::File::~File() {
  if (!kept && !path.empty()) ::unlink(path.c_str());
}

Upload::Upload(Engine& engine, std::vector<Algorithm> extra) : engine_(engine) {
  for (const Algorithm algorithm : extra) extra_.emplace_back(algorithm);
}

void Upload::open_file() {
  const auto& state = *engine_.state_;
  file_ = std::make_unique<Staged::File>();
  file_->number = state.new_file_number();
  file_->path = state.temporary_path(file_->number);
  fd_ = Descriptor(::open(file_->path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd_) throw_disk("creating an object's file");
}

void Upload::absorb(std::string_view piece) {
  size_ += piece.size();
  crc_ = crc32c(crc_, piece);
  md5_.update(piece);
  sha256_.update(piece);
  for (Digest& digest : extra_) digest.update(piece);
}

void Upload::take(std::string_view piece) {
  absorb(piece);
  if (!fd_ && size_ <= kSmall) {
    small_ += piece;
    return;
  }
  if (!fd_) {
    open_file();
    write_all(fd_.get(), small_);
    small_ = {};
  }
  write_all(fd_.get(), piece);
}

Async<> Upload::write(std::string_view piece) {
  if (piece.size() <= kInline && size_ + piece.size() <= kSmall) {
    take(piece);
    co_return;
  }
  const auto work = [&] { take(piece); };
  co_await engine_.pool().run(work);
}

Staged Upload::close() {
  Staged out;
  out.size = size_;
  out.crc = crc_;
  out.md5 = md5_.finish();
  out.sha256 = sha256_.finish();
  for (Digest& digest : extra_) out.extra.push_back(digest.finish());
  if (!fd_) {
    out.data = std::move(small_);
    return out;
  }
  if (::fdatasync(fd_.get()) != 0) throw_disk("syncing an object");
  fd_ = Descriptor();
  const auto path = engine_.state_->file_path(file_->number);
  if (::rename(file_->path.c_str(), path.c_str()) != 0) throw_disk("storing an object");
  file_->path = path;
  sync_folder(path.parent_path());
  out.file = std::move(file_);
  return out;
}

Async<Staged> Upload::finish() {
  if (!fd_) co_return close();
  const auto work = [&] { return close(); };
  co_return co_await engine_.pool().run(work);
}

Staged Upload::stage_now(Engine& engine, std::string_view data) {
  Upload upload(engine, {});
  upload.take(data);
  return upload.close();
}

}  // namespace penstock::objects
