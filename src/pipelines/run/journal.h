// The first place that runs' events are written to, so that what they lead to may begin: one write(2) into a file whose
// space is there already. The database follows a moment later, with many events in one transaction. What is here
// survives the death of the server; after a loss of power the last instant may be missing, as it may in the database.
//
// Two files of a fixed size take turns: one is written anew once the database has all that is in it.
//
// Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::pipelines {

class Journal {
 public:
  // Makes <folder>/0 and <folder>/1, of `size` bytes each, or reads what is in them. Until begin(), and where there is
  // no space for them, every append() fails.
  explicit Journal(std::filesystem::path folder, size_t size = 1 << 20);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // What the run's events were from number `first` on, by an earlier server; fewer than there were, if they do not
  // follow one another.
  std::vector<std::string> found(const std::string& run_id, int64_t first) const;
  // The database has what was found: the files may be written anew.
  void begin();

  // Where events are, to be given back to saved().
  struct Place {
    int file = 0;
    int records = 0;
  };
  // False when there is no room: then they must go to the database at once. Events hold no line breaks.
  [[nodiscard]] bool append(std::string_view run_id, int64_t first, std::span<const std::string> events,
                            std::vector<Place>& places);
  // The run begins anew: what was found or written of it before does not count.
  [[nodiscard]] bool append_reset(std::string_view run_id, std::vector<Place>& places);
  // The database has what was written to these places.
  void saved(std::vector<Place>& places);

 private:
  struct File {
    int descriptor = -1;
    size_t used = 0;
    uint64_t generation = 0;  // of its records; those of another one are left from before
    int unsaved = 0;          // records
  };
  void open(File& file, const std::filesystem::path& path, std::vector<std::pair<uint64_t, std::string>>& records);
  bool write(std::string_view payload, std::vector<Place>& places);
  void take_in(std::string_view payload);

  const size_t size_;
  std::array<File, 2> files_;
  int current_ = 0;
  bool begun_ = false;
  struct Found {
    int64_t first = 0;
    std::vector<std::string> events;
  };
  std::map<std::string, Found> found_;
};

}  // namespace penstock::pipelines
