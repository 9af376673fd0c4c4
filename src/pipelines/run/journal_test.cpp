#include "pipelines/run/journal.h"

#include <fstream>

#include <doctest/doctest.h>

#include "base/clock.h"

using namespace penstock;
using namespace penstock::pipelines;
namespace fs = std::filesystem;

namespace {

using Events = std::vector<std::string>;

struct Fixture {
  fs::path folder = fs::temp_directory_path() / ("penstock-journal-" + new_uuid());
  std::vector<Journal::Place> places;
  ~Fixture() { fs::remove_all(folder); }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "what was written is found by the next server, from any number on") {
  {
    Journal journal(folder);
    journal.begin();
    CHECK(journal.append("a", 0, Events{"one", "two"}, places));
    CHECK(journal.append("b", 7, Events{"x"}, places));
    CHECK(journal.append("a", 2, Events{"three"}, places));
  }
  Journal next(folder);
  CHECK(next.found("a", 0) == Events{"one", "two", "three"});
  CHECK(next.found("a", 2) == Events{"three"});
  CHECK(next.found("a", 3).empty());
  CHECK(next.found("b", 7) == Events{"x"});
  CHECK(next.found("b", 6).empty());
  CHECK(next.found("c", 0).empty());
  CHECK_FALSE(next.append("a", 3, Events{"four"}, places));  // it would write over what was found
  next.begin();
  CHECK(next.found("a", 0).empty());
  CHECK(next.append("a", 3, Events{"four"}, places));
}

TEST_CASE_FIXTURE(Fixture, "a run that begins anew does not find its old events") {
  {
    Journal journal(folder);
    journal.begin();
    CHECK(journal.append("a", 0, Events{"old", "older"}, places));
    CHECK(journal.append_reset("a", places));
    CHECK(journal.append("b", 0, Events{"old", "older"}, places));
    CHECK(journal.append("b", 0, Events{"new"}, places));
  }
  Journal next(folder);
  CHECK(next.found("a", 0).empty());
  CHECK(next.found("b", 0) == Events{"new"});
}

TEST_CASE_FIXTURE(Fixture, "after events that are not here only those that follow are found") {
  {
    Journal journal(folder);
    journal.begin();
    CHECK(journal.append("a", 0, Events{"one"}, places));
    CHECK(journal.append("a", 5, Events{"six"}, places));
  }
  Journal next(folder);
  CHECK(next.found("a", 1).empty());
  CHECK(next.found("a", 5) == Events{"six"});
}

TEST_CASE_FIXTURE(Fixture, "a file is written anew only when the database has what is in it") {
  Journal journal(folder, 256);
  journal.begin();
  std::vector<Journal::Place> first, second, third;
  const std::string text(150, 'x');
  CHECK(journal.append("a", 0, Events{text}, first));
  CHECK(journal.append("a", 1, Events{text}, second));
  CHECK_FALSE(journal.append("a", 2, Events{text}, third));
  CHECK_FALSE(journal.append("b", 0, Events{std::string(300, 'x')}, third));
  CHECK(third.empty());
  journal.saved(second);  // the one that is being written: no room is made by it
  CHECK_FALSE(journal.append("a", 2, Events{text}, third));
  journal.saved(first);
  CHECK(first.empty());
  CHECK(journal.append("a", 2, Events{text}, third));
  Journal next(folder, 256);
  CHECK(next.found("a", 1) == Events{text, text});
}

TEST_CASE_FIXTURE(Fixture, "many rounds: the newest events are found, whatever was in the files before") {
  std::vector<Journal::Place> older;
  {
    Journal journal(folder, 1000);
    journal.begin();
    for (int i = 0; i < 500; ++i) {
      // Each is saved when the one after it is written.
      auto before = std::exchange(older, std::exchange(places, {}));
      journal.saved(before);
      REQUIRE(
          journal.append("a", i, Events{std::string(static_cast<size_t>(i % 37), 'x') + std::to_string(i)}, places));
    }
  }
  Journal next(folder, 1000);
  const auto found = next.found("a", 498);
  REQUIRE(found.size() == 2);
  CHECK(found[1].ends_with("499"));
  // And by a third one, which finds the second one's first event as well.
  places.clear();
  next.begin();
  CHECK(next.append("a", 500, Events{"last"}, places));
  Journal third(folder, 1000);
  CHECK(third.found("a", 500) == Events{"last"});
}

TEST_CASE_FIXTURE(Fixture, "a record that was cut off or damaged ends what is found") {
  {
    Journal journal(folder);
    journal.begin();
    CHECK(journal.append("a", 0, Events{"one"}, places));
    CHECK(journal.append("a", 1, Events{"two"}, places));
  }
  {
    std::fstream file(folder / "0", std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(0, std::ios::beg);
    std::string bytes(200, '\0');
    file.read(bytes.data(), 200);
    file.seekp(static_cast<std::streamoff>(bytes.find("two")));
    file << "2";
  }
  Journal next(folder);
  CHECK(next.found("a", 0) == Events{"one"});
  fs::resize_file(folder / "0", 10);
  Journal cut(folder);
  CHECK(cut.found("a", 0).empty());
}

TEST_CASE_FIXTURE(Fixture, "where there is no place for it, nothing is taken") {
  fs::create_directories(folder / "0");
  fs::create_directories(folder / "1");
  Journal journal(folder);
  journal.begin();
  CHECK_FALSE(journal.append("a", 0, Events{"one"}, places));
  CHECK(journal.append_reset("a", places));
}
