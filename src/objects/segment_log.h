// The append-only log of small contents. Writers that wait share one write and one sync.
//
// A segment is a file <folder>/<16 hex digits>.log, a row of records:
//
//   0   4  "PSL1", or "PSL2" with an operation
//   4   4  CRC-32C of the data, little-endian as all numbers
//   8   8  length of the data
//   16  4  CRC-32C of bytes 0 to 15, and of 20 to 23 with an operation
//   20  4  length of the operation; 0 without
//   24     the data
//          with an operation: its CRC-32C (4), and the operation
//
// An operation says what the record's writer has yet to tell the database: it was promised when the record was synced,
// and is done again by replay() when the database was not. Otherwise the database says which records count: one that
// was torn by a crash, or that nobody refers to, is dead space, which compaction takes back. Thread-safe.
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
  auto operator<=>(const Place&) const = default;
};

class SegmentLog {
 public:
  static constexpr uint64_t kHeader = 24;

  // Shows the operations of the records from `from` on, in the order in which they were written, with the places of
  // their data. Returns where the last whole record ends: what comes after it was never synced.
  using Visit = std::function<void(Place place, std::string_view operation)>;
  static Place replay(const std::filesystem::path& folder, Place from, const Visit& visit);

  // `used` tells for each segment that the database refers to where its last record's data end. Others are removed, and
  // the newest goes on from `end`, which replay() has returned. A segment that has `segment_size` bytes is followed by
  // a new one.
  SegmentLog(std::filesystem::path folder, const std::map<int64_t, uint64_t>& used, Place end, uint64_t segment_size);
  ~SegmentLog();  // finishes what is queued

  // `done` is called on the log's thread, in the order of the records, once the record is on disk, or with why it is
  // not. `end` is behind the record.
  using Done = std::function<void(Place place, Place end, std::exception_ptr)>;
  void append(std::string data, std::string operation, Done done);
  Place end() const;  // where the next record comes, unless it begins a new segment

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
