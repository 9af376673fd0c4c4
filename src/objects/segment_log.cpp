#include "objects/segment_log.h"

#include <condition_variable>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <pthread.h>
#include <sys/uio.h>
#include <thread>
#include <unistd.h>

#include "base/error.h"
#include "objects/checksum.h"
#include "objects/descriptor.h"

namespace penstock::objects {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kPlain = "PSL1", kWithOperation = "PSL2";
constexpr size_t kChecksum = 4;  // before an operation

template <class T>
void put_number(char* at, T value) {
  for (size_t i = 0; i < sizeof value; ++i) at[i] = static_cast<char>(value >> (8 * i));
}
template <class T>
T get_number(const char* at) {
  T value = 0;
  for (size_t i = 0; i < sizeof value; ++i) value |= static_cast<T>(static_cast<uint8_t>(at[i])) << (8 * i);
  return value;
}

using Header = std::array<char, SegmentLog::kHeader>;

uint32_t header_checksum(const Header& header, bool with_operation) {
  const uint32_t crc = crc32c(0, {header.data(), 16});
  return with_operation ? crc32c(crc, {header.data() + 20, 4}) : crc;
}

Header make_header(std::string_view data, uint32_t operation) {
  Header header{};
  std::memcpy(header.data(), (operation > 0 ? kWithOperation : kPlain).data(), 4);
  put_number<uint32_t>(header.data() + 4, crc32c(0, data));
  put_number<uint64_t>(header.data() + 8, data.size());
  put_number<uint32_t>(header.data() + 20, operation);
  put_number<uint32_t>(header.data() + 16, header_checksum(header, operation > 0));
  return header;
}

struct Lengths {
  uint64_t data = 0;
  uint32_t crc = 0;
  uint32_t operation = 0;
};

// Empty when it is no header.
std::optional<Lengths> read_header(const Header& header) {
  const std::string_view magic(header.data(), 4);
  const bool with_operation = magic == kWithOperation;
  if (!with_operation && magic != kPlain) return std::nullopt;
  if (get_number<uint32_t>(header.data() + 16) != header_checksum(header, with_operation)) return std::nullopt;
  return Lengths{get_number<uint64_t>(header.data() + 8), get_number<uint32_t>(header.data() + 4),
                 with_operation ? get_number<uint32_t>(header.data() + 20) : 0};
}

bool read_at(int fd, char* data, size_t size, uint64_t offset) {
  while (size > 0) {
    const ssize_t got = ::pread(fd, data, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    data += got;
    size -= static_cast<size_t>(got);
    offset += static_cast<uint64_t>(got);
  }
  return true;
}

// Shows the whole records of one segment from `offset` on; returns where they end.
uint64_t replay_segment(const fs::path& path, int64_t segment, uint64_t offset, const SegmentLog::Visit& visit) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw_disk("opening the object log");
  const uint64_t size = fs::file_size(path);
  std::string bytes;
  while (true) {
    Header header;
    if (offset + SegmentLog::kHeader > size || !read_at(file.get(), header.data(), header.size(), offset)) break;
    const auto lengths = read_header(header);
    if (!lengths || lengths->data > size) break;
    const uint64_t tail = lengths->operation > 0 ? kChecksum + lengths->operation : 0;
    const uint64_t end = offset + SegmentLog::kHeader + lengths->data + tail;
    if (end > size) break;
    if (lengths->operation > 0) {
      bytes.resize(lengths->data + tail);
      if (!read_at(file.get(), bytes.data(), bytes.size(), offset + SegmentLog::kHeader)) break;
      const auto data = std::string_view(bytes).substr(0, lengths->data);
      const auto operation = std::string_view(bytes).substr(lengths->data + kChecksum);
      if (crc32c(0, data) != lengths->crc) break;
      if (crc32c(0, operation) != get_number<uint32_t>(bytes.data() + lengths->data)) break;
      visit({segment, static_cast<int64_t>(offset)}, operation);
    }
    offset = end;
  }
  return offset;
}

int64_t segment_of(const fs::path& path) {
  return static_cast<int64_t>(std::strtoull(path.filename().c_str(), nullptr, 16));
}

struct Waiting {
  std::string data, operation;
  SegmentLog::Done done;
  Place place, end;
};

}  // namespace

struct SegmentLog::State {
  fs::path folder;
  uint64_t segment_size = 0;
  mutable std::mutex mutex;
  std::condition_variable ready;
  std::vector<Waiting> queue;
  bool stopping = false;
  // Shared: a reader may still read a segment that is being removed.
  mutable std::map<int64_t, std::shared_ptr<Descriptor>> open;
  std::map<int64_t, uint64_t> sizes;
  int64_t current = 0;
  std::thread thread;

  fs::path path_of(int64_t segment) const { return folder / fmt::format("{:016x}.log", segment); }

  std::shared_ptr<Descriptor> open_segment(int64_t segment) const {
    const std::lock_guard lock(mutex);
    auto& slot = open[segment];
    if (!slot) {
      slot = std::make_shared<Descriptor>(::open(path_of(segment).c_str(), O_RDWR | O_CLOEXEC));
      if (slot->get() < 0) {
        open.erase(segment);
        return nullptr;
      }
    }
    return slot;
  }

  void start_segment() {
    const int64_t id = current + 1;
    auto file = std::make_shared<Descriptor>(::open(path_of(id).c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (file->get() < 0) throw_disk("starting a segment of the object log");
    sync_folder(folder);
    const std::lock_guard lock(mutex);
    open[id] = std::move(file);
    sizes[id] = 0;
    current = id;
  }

  void write_batch(std::vector<Waiting>& batch);
  void run();
};

void SegmentLog::State::write_batch(std::vector<Waiting>& batch) {
  if (current == 0 || sizes.at(current) >= segment_size) start_segment();
  const auto file = open_segment(current);
  if (!file) throw_disk("opening the object log");
  const uint64_t begin = sizes.at(current);
  uint64_t end = begin;
  std::vector<Header> headers;
  headers.reserve(batch.size());
  std::vector<std::array<char, kChecksum>> checksums;
  checksums.reserve(batch.size());
  std::vector<iovec> parts;
  for (auto& item : batch) {
    item.place = {current, static_cast<int64_t>(end)};
    auto& header = headers.emplace_back(make_header(item.data, static_cast<uint32_t>(item.operation.size())));
    parts.push_back({header.data(), header.size()});
    if (!item.data.empty()) parts.push_back({item.data.data(), item.data.size()});
    end += kHeader + item.data.size();
    if (!item.operation.empty()) {
      auto& checksum = checksums.emplace_back();
      put_number<uint32_t>(checksum.data(), crc32c(0, item.operation));
      parts.push_back({checksum.data(), checksum.size()});
      parts.push_back({item.operation.data(), item.operation.size()});
      end += kChecksum + item.operation.size();
    }
    item.end = {current, static_cast<int64_t>(end)};
  }
  try {
    write_parts(file->get(), parts, begin);
    if (::fdatasync(file->get()) != 0) throw_disk("syncing the object log");
  } catch (...) {
    [[maybe_unused]] const int ignored = ::ftruncate(file->get(), static_cast<off_t>(begin));
    throw;
  }
  const std::lock_guard lock(mutex);
  sizes[current] = end;
}

void SegmentLog::State::run() {
  std::unique_lock lock(mutex);
  while (true) {
    ready.wait(lock, [&] { return stopping || !queue.empty(); });
    if (queue.empty()) return;
    std::vector<Waiting> batch;
    batch.swap(queue);
    lock.unlock();
    std::exception_ptr error;
    try {
      write_batch(batch);
    } catch (...) {
      error = std::current_exception();
    }
    for (auto& item : batch) item.done(item.place, item.end, error);
    batch.clear();
    lock.lock();
  }
}

Place SegmentLog::replay(const fs::path& folder, Place from, const Visit& visit) {
  std::map<int64_t, fs::path> segments;
  if (fs::exists(folder)) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (segment_of(entry.path()) >= from.segment) segments[segment_of(entry.path())] = entry.path();
    }
  }
  Place end = from;
  for (const auto& [id, path] : segments) {
    const uint64_t begin = id == from.segment ? static_cast<uint64_t>(from.offset) : 0;
    end = {id, static_cast<int64_t>(replay_segment(path, id, begin, visit))};
    const bool last = id == segments.rbegin()->first;
    if (!last && static_cast<uint64_t>(end.offset) < fs::file_size(path)) {
      spdlog::error("the object log is damaged: segment {:x} at {}; records after it cannot be seen", id, end.offset);
    }
  }
  return end;
}

SegmentLog::SegmentLog(fs::path folder, const std::map<int64_t, uint64_t>& used, Place end, uint64_t segment_size)
    : state_(std::make_unique<State>()) {
  state_->segment_size = segment_size;
  state_->folder = std::move(folder);
  state_->current = end.segment;
  fs::create_directories(state_->folder);
  for (const auto& entry : fs::directory_iterator(state_->folder)) {
    const int64_t id = segment_of(entry.path());
    state_->current = std::max(state_->current, id);
    if (used.contains(id)) {
      state_->sizes[id] = entry.file_size();
    } else {
      fs::remove(entry.path());
    }
  }
  const auto newest = state_->sizes.find(state_->current);
  const auto offset = static_cast<uint64_t>(end.offset);
  if (newest != state_->sizes.end() && newest->first == end.segment && offset >= used.at(newest->first) &&
      offset <= newest->second) {
    // What was being appended at a crash was not acknowledged.
    if (newest->second > offset) fs::resize_file(state_->path_of(newest->first), offset);
    newest->second = offset;
  } else if (state_->current != 0) {
    // Its file was removed, or holds records that cannot be read: go on after it.
    state_->start_segment();
  }
  state_->thread = std::thread([state = state_.get()] {
    pthread_setname_np(pthread_self(), "object-log");
    state->run();
  });
}

SegmentLog::~SegmentLog() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->ready.notify_one();
  state_->thread.join();
}

void SegmentLog::append(std::string data, std::string operation, Done done) {
  bool first = false;
  {
    const std::lock_guard lock(state_->mutex);
    first = state_->queue.empty();
    state_->queue.push_back({std::move(data), std::move(operation), std::move(done), {}, {}});
  }
  if (first) state_->ready.notify_one();
}

Place SegmentLog::end() const {
  const std::lock_guard lock(state_->mutex);
  const auto newest = state_->sizes.find(state_->current);
  return {state_->current, newest == state_->sizes.end() ? 0 : static_cast<int64_t>(newest->second)};
}

std::string SegmentLog::read(Place place, uint64_t size) const {
  const auto file = state_->open_segment(place.segment);
  if (!file) throw Error(Code::Aborted, "the segment of the object log is gone");
  Header header{};
  std::string data(size, '\0');
  // One call for both.
  iovec parts[2] = {{header.data(), header.size()}, {data.data(), data.size()}};
  const ssize_t got = ::preadv(file->get(), parts, 2, place.offset);
  const auto damaged = [&] {
    return Error(Code::DataLoss,
                 fmt::format("the object log is damaged: segment {:x} at {}", place.segment, place.offset));
  };
  if (got != static_cast<ssize_t>(kHeader + size)) throw damaged();
  const auto lengths = read_header(header);
  const bool good = lengths && lengths->data == size && lengths->crc == crc32c(0, data);
  if (!good) throw damaged();
  return data;
}

std::vector<SegmentLog::Segment> SegmentLog::segments() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<Segment> out;
  for (const auto& [id, size] : state_->sizes) out.push_back({id, size, id == state_->current});
  return out;
}

void SegmentLog::remove(int64_t segment) {
  const std::lock_guard lock(state_->mutex);
  if (segment == state_->current) return;
  state_->open.erase(segment);
  state_->sizes.erase(segment);
  ::unlink(state_->path_of(segment).c_str());
}

}  // namespace penstock::objects
