#include "pipelines/run/journal.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include <boost/crc.hpp>
#include <spdlog/spdlog.h>

namespace penstock::pipelines {

namespace {

// Before each record's payload.
struct Header {
  uint64_t generation = 0;
  uint32_t size = 0;
  uint32_t checksum = 0;
};

// A payload is the run's id, the number of its first event (-1: the run begins anew) and the events, a line each.
constexpr int64_t kReset = -1;

uint32_t checksum_of(uint64_t generation, std::string_view payload) {
  boost::crc_32_type crc;
  crc.process_bytes(&generation, sizeof generation);
  crc.process_bytes(payload.data(), payload.size());
  return crc.checksum();
}

std::string_view next_line(std::string_view& text) {
  const auto end = std::min(text.find('\n'), text.size());
  const auto line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

}  // namespace

Journal::Journal(std::filesystem::path folder, size_t size) : size_(size) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  std::vector<std::pair<uint64_t, std::string>> records;
  for (int i = 0; i < 2; ++i) open(files_[static_cast<size_t>(i)], folder / std::to_string(i), records);
  std::stable_sort(records.begin(), records.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [generation, payload] : records) take_in(payload);
  const auto newest = std::max(files_[0].generation, files_[1].generation);
  files_[0].generation = newest + 1;
  files_[1].generation = newest + 2;
}

Journal::~Journal() {
  for (const auto& file : files_) {
    if (file.descriptor >= 0) ::close(file.descriptor);
  }
}

void Journal::open(File& file, const std::filesystem::path& path,
                   std::vector<std::pair<uint64_t, std::string>>& records) {
  file.descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file.descriptor >= 0) {
    const int failure = ::posix_fallocate(file.descriptor, 0, static_cast<off_t>(size_));
    if (failure != 0) {
      ::close(file.descriptor);
      file.descriptor = -1;
      errno = failure;
    }
  }
  if (file.descriptor < 0) {
    spdlog::warn("no journal of runs: {}: {}", path.string(), std::strerror(errno));
    return;
  }
  std::string bytes(size_, '\0');
  const ssize_t got = ::pread(file.descriptor, bytes.data(), bytes.size(), 0);
  bytes.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
  std::string_view rest = bytes;
  while (rest.size() >= sizeof(Header)) {
    Header header;
    std::memcpy(&header, rest.data(), sizeof header);
    rest.remove_prefix(sizeof header);
    if (header.generation == 0 || header.size > rest.size()) break;
    if (file.generation != 0 && header.generation != file.generation) break;
    const auto payload = rest.substr(0, header.size);
    if (checksum_of(header.generation, payload) != header.checksum) break;
    file.generation = header.generation;
    records.emplace_back(header.generation, payload);
    rest.remove_prefix(header.size);
  }
}

void Journal::take_in(std::string_view payload) {
  const std::string run_id(next_line(payload));
  const auto number = next_line(payload);
  int64_t first = 0;
  std::from_chars(number.data(), number.data() + number.size(), first);
  auto& found = found_[run_id];
  if (first == kReset || first == 0) found = {};
  if (first == kReset) return;
  if (found.events.empty()) found.first = first;
  // Events that went to the database directly are not here.
  if (first != found.first + static_cast<int64_t>(found.events.size())) found = {first, {}};
  while (!payload.empty()) found.events.emplace_back(next_line(payload));
}

std::vector<std::string> Journal::found(const std::string& run_id, int64_t first) const {
  const auto at = found_.find(run_id);
  if (at == found_.end() || first < at->second.first) return {};
  const auto& events = at->second.events;
  const auto skipped = static_cast<size_t>(first - at->second.first);
  if (skipped >= events.size()) return {};
  return {events.begin() + static_cast<std::ptrdiff_t>(skipped), events.end()};
}

void Journal::begin() {
  found_.clear();
  begun_ = true;
}

bool Journal::append(std::string_view run_id, int64_t first, std::span<const std::string> events,
                     std::vector<Place>& places) {
  std::string payload(run_id);
  payload += '\n';
  payload += std::to_string(first);
  for (const auto& event : events) {
    payload += '\n';
    payload += event;
  }
  return write(payload, places);
}

bool Journal::append_reset(std::string_view run_id, std::vector<Place>& places) {
  if (files_[0].descriptor < 0 && files_[1].descriptor < 0) return true;  // nothing will be found
  return write(std::string(run_id) + "\n" + std::to_string(kReset), places);
}

bool Journal::write(std::string_view payload, std::vector<Place>& places) {
  if (!begun_) return false;
  const size_t needed = sizeof(Header) + payload.size();
  if (files_[static_cast<size_t>(current_)].used + needed > size_) {
    auto& other = files_[static_cast<size_t>(1 - current_)];
    if (other.unsaved > 0 || needed > size_) return false;
    other.generation = files_[static_cast<size_t>(current_)].generation + 1;
    other.used = 0;
    current_ = 1 - current_;
  }
  auto& file = files_[static_cast<size_t>(current_)];
  if (file.descriptor < 0) return false;
  Header header;
  header.generation = file.generation;
  header.size = static_cast<uint32_t>(payload.size());
  header.checksum = checksum_of(header.generation, payload);
  std::string record(reinterpret_cast<const char*>(&header), sizeof header);
  record += payload;
  const ssize_t written = ::pwrite(file.descriptor, record.data(), record.size(), static_cast<off_t>(file.used));
  if (written != static_cast<ssize_t>(record.size())) return false;
  file.used += needed;
  ++file.unsaved;
  if (places.empty() || places.back().file != current_) places.push_back({current_, 0});
  ++places.back().records;
  return true;
}

void Journal::saved(std::vector<Place>& places) {
  for (const auto& place : places) files_[static_cast<size_t>(place.file)].unsaved -= place.records;
  places.clear();
}

}  // namespace penstock::pipelines
