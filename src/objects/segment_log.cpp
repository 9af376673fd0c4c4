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

constexpr char kMagic[4] = {'P', 'S', 'L', '1'};

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

std::array<char, SegmentLog::kHeader> make_header(std::string_view data) {
  std::array<char, SegmentLog::kHeader> header{};
  std::memcpy(header.data(), kMagic, 4);
  put_number<uint32_t>(header.data() + 4, crc32c(0, data));
  put_number<uint64_t>(header.data() + 8, data.size());
  put_number<uint32_t>(header.data() + 16, crc32c(0, {header.data(), 16}));
  return header;
}

struct Waiting {
  std::string data;
  SegmentLog::Done done;
  Place place;
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
  std::vector<std::array<char, kHeader>> headers;
  headers.reserve(batch.size());
  std::vector<iovec> parts;
  for (auto& item : batch) {
    item.place = {current, static_cast<int64_t>(end)};
    auto& header = headers.emplace_back(make_header(item.data));
    parts.push_back({header.data(), header.size()});
    if (!item.data.empty()) parts.push_back({item.data.data(), item.data.size()});
    end += kHeader + item.data.size();
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
    for (auto& item : batch) item.done(item.place, error);
    batch.clear();
    lock.lock();
  }
}

SegmentLog::SegmentLog(fs::path folder, const std::map<int64_t, uint64_t>& used, uint64_t segment_size)
    : state_(std::make_unique<State>()) {
  state_->segment_size = segment_size;
  state_->folder = std::move(folder);
  fs::create_directories(state_->folder);
  for (const auto& entry : fs::directory_iterator(state_->folder)) {
    const auto name = entry.path().filename().string();
    const int64_t id = static_cast<int64_t>(std::strtoull(name.c_str(), nullptr, 16));
    state_->current = std::max(state_->current, id);
    if (const auto known = used.find(id); known != used.end()) {
      state_->sizes[id] = entry.file_size();
    } else {
      fs::remove(entry.path());
    }
  }
  if (const auto newest = state_->sizes.find(state_->current); newest != state_->sizes.end()) {
    // What was being appended at a crash was not acknowledged.
    const uint64_t end = used.at(newest->first);
    if (newest->second > end) fs::resize_file(state_->path_of(newest->first), end);
    newest->second = std::min(newest->second, end);
  } else if (state_->current != 0) {
    // Its file was removed: go on after it.
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

void SegmentLog::append(std::string data, Done done) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->queue.push_back({std::move(data), std::move(done), {}});
  }
  state_->ready.notify_one();
}

std::string SegmentLog::read(Place place, uint64_t size) const {
  const auto file = state_->open_segment(place.segment);
  if (!file) throw Error(Code::Aborted, "the segment of the object log is gone");
  std::array<char, kHeader> header{};
  std::string data(size, '\0');
  // One call for both.
  iovec parts[2] = {{header.data(), header.size()}, {data.data(), data.size()}};
  const ssize_t got = ::preadv(file->get(), parts, 2, place.offset);
  const auto damaged = [&] {
    return Error(Code::DataLoss,
                 fmt::format("the object log is damaged: segment {:x} at {}", place.segment, place.offset));
  };
  if (got != static_cast<ssize_t>(kHeader + size)) throw damaged();
  const bool good = std::memcmp(header.data(), kMagic, 4) == 0 &&
                    get_number<uint32_t>(header.data() + 16) == crc32c(0, {header.data(), 16}) &&
                    get_number<uint64_t>(header.data() + 8) == size &&
                    get_number<uint32_t>(header.data() + 4) == crc32c(0, data);
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
