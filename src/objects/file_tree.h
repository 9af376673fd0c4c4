// Objects that tasks wrote as plain files: <root>/<bucket>/<key>. What tasks make is not trusted: symbolic links are
// neither followed nor shown. Functions block; thread-safe, a Walker belongs to one thread.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "objects/descriptor.h"

namespace penstock::objects {

inline constexpr std::string_view kTemporary = ".tmp-";  // begins the names of files that are still being written

// Tells one content of a file from another.
struct FileStamp {
  uint64_t inode = 0;
  int64_t modified = 0;  // nanoseconds
  uint64_t size = 0;

  std::string text() const;  // "inode:modified:size"
  // What stands for a hash of the content without reading it: like the ETags of multipart uploads it holds a dash, by
  // which clients know that it is no MD5.
  std::string etag() const;
  Time time() const;
};

// The next text in order that doesn't begin with `prefix`; empty when there is none.
std::string after_prefix(std::string_view prefix);

class FileTree {
 public:
  explicit FileTree(std::filesystem::path root) : root_(std::move(root)) {}
  const std::filesystem::path& root() const { return root_; }

  // Whether a file can be called so: no empty, "." or ".." part, none of more than 255 bytes, no NUL.
  static bool can_be_file(std::string_view key);

  std::optional<FileStamp> stat(std::string_view bucket, std::string_view key) const;
  // A regular file, or empty.
  Descriptor open(std::string_view bucket, std::string_view key) const;
  // Synced. False when there was none. Folders that become empty go too, but not the bucket's.
  bool remove(std::string_view bucket, std::string_view key) const;
  // The bucket's folder and the empty ones in it; what holds a file stays.
  void remove_bucket(std::string_view bucket) const;
  // Makes a file atomically in the place of what is there; `write` fills it, and `ready` is told its stamp before it
  // takes its place. FailedPrecondition when folders are in its way.
  template <class Write, class Ready>
  void replace(std::string_view bucket, std::string_view key, Write write, Ready ready) const {
    Replacement replacement(*this, bucket, key);
    write(replacement.fd());
    ready(replacement.finish());
    replacement.commit();
  }

  // Goes through a bucket's files by key, bytewise.
  class Walker {
   public:
    Walker(const FileTree& tree, std::string_view bucket);
    // To the first file whose key is not less than `from`.
    void seek(std::string_view from);
    void next();
    bool at_end() const { return frames_.empty(); }
    const std::string& key() const { return key_; }
    FileStamp stamp() const { return stamp_; }

   private:
    struct Frame {
      std::string prefix;
      Descriptor folder;
      std::vector<std::string> names;  // in order; a folder's ends with a slash
      size_t at = 0;
    };
    bool enter(int parent, const std::string& name, std::string prefix);
    void settle(std::string_view from);
    std::vector<Frame> frames_;
    Descriptor bucket_;
    std::string key_;
    FileStamp stamp_;
  };

 private:
  class Replacement {
   public:
    Replacement(const FileTree& tree, std::string_view bucket, std::string_view key);
    ~Replacement();
    int fd() const { return file_.get(); }
    FileStamp finish();
    void commit();

   private:
    Descriptor folder_, file_;
    std::string temporary_, name_;
  };
  Descriptor open_bucket(std::string_view bucket) const;
  std::filesystem::path root_;
};

}  // namespace penstock::objects
