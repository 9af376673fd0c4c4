// The operation that a put leaves in the log beside its bytes (segment_log.h): what the database needs to say of it.
//
// A put is acknowledged when its record is synced. The database gets its row at once, but not to the disk; what a loss
// of power takes from it there is put again from the log at the next start, with the same version and time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::objects {

struct LoggedPut {
  int64_t bucket = 0;  // its id, which no other bucket ever has
  std::string key;
  std::string version;  // that it gets where versions are kept
  std::string etag;
  std::string meta;      // JSON
  int64_t modified = 0;  // microseconds
  // Of the content: its hash, and where it is a file of its own, the file's number, size and checksum.
  std::string sha256;
  int64_t file = 0;
  uint64_t size = 0;
  uint32_t crc = 0;
};

std::string encode(const LoggedPut& put);
LoggedPut decode_put(std::string_view operation);  // throws DataLoss

}  // namespace penstock::objects
