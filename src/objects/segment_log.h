// The append-only log of small contents. Writers that wait share one write and one sync.
//
// A segment is a file <folder>/<16 hex digits>.log, a row of records:
//
//   0   4  "PSL1"
//   4   4  CRC-32C of the data, little-endian as all numbers
//   8   8  length of the data
//   16  4  CRC-32C of bytes 0 to 15
//   20  4  0
//   24     the data
//
// Whether a record counts is said by the database, not by the log: a record that was torn by a crash, or that nobody
// refers to, is dead space, which compaction takes back. Thread-safe.
#pragma once

#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::objects {

struct Place {
  int64_t segment = 0;  // 0: a file of its own, whose number is `offset`
  int64_t offset = 0;
};

class SegmentLog {
 public:
  static constexpr uint64_t kHeader = 24;

  // `used` tells for each segment that the database refers to where its last record ends. Others are removed, and the
  // newest goes on from there. A segment that has `segment_size` bytes is followed by a new one.
  SegmentLog(std::filesystem::path folder, const std::map<int64_t, uint64_t>& used, uint64_t segment_size);
  ~SegmentLog();  // finishes what is queued

  // `done` is called on the log's thread once the record is on disk, or with why it is not.
  using Done = std::function<void(Place, std::exception_ptr)>;
  void append(std::string data, Done done);

  // Throws DataLoss when the bytes are not those that were written, Aborted when the segment is gone: look it up again.
  std::string read(Place place, uint64_t size) const;

  struct Segment {
    int64_t id = 0;
    uint64_t size = 0;
    bool current = false;
  };
  std::vector<Segment> segments() const;
  void remove(int64_t segment);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace penstock::objects
