// Reading pieces of an object where it lies, without laying it out as a file; and listing what a key is the folder of.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::objects {

// One object that is open. Belongs to one thread at a time; every function blocks.
class Reader {
 public:
  virtual ~Reader() = default;
  virtual uint64_t size() const = 0;
  // The bytes from `offset` on, at most `length`; fewer only at the end. DataLoss when they are not what was stored.
  virtual std::string read(uint64_t offset, size_t length) = 0;
  // An open file that holds all of it, for sending by the kernel; -1 when there is none. Owned by this.
  virtual int file() const { return -1; }
};

class Engine;
struct Bucket;
struct Object;

// The bytes of one state of an object. Null when it has none: a delete marker, or a task's file that has gone. Blocks.
std::unique_ptr<Reader> open_object(Engine& engine, const Bucket& bucket, const Object& object);

struct FolderEntry {
  std::string name;     // without slashes
  bool folder = false;  // there are objects below it
  uint64_t size = 0;
};

struct FolderPage {
  std::vector<FolderEntry> entries;  // by name, bytewise, a folder's taken with its slash
  std::string next;                  // the last one's name; empty on the last page
};

}  // namespace penstock::objects
