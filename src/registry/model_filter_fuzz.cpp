// The registry's filterQuery. Whatever is taken becomes SQL that SQLite takes, and that changes nothing.
//
// The input's first byte chooses the kind.
#include <filesystem>

#include "base/clock.h"
#include "base/fuzz.h"
#include "metadata/metadata.h"
#include "registry/store.h"

using namespace penstock;

namespace {

// Its files are gone before the first input: nothing is left behind, however the program ends.
db::Database& database() {
  static const std::unique_ptr<db::Database> database = [] {
    const auto folder = std::filesystem::temp_directory_path() / ("penstock-filter-fuzz-" + new_uuid());
    std::filesystem::create_directories(folder);
    auto made = std::make_unique<db::Database>(
        folder / "a.db", std::vector<db::Migrations>{metadata::Store::migrations(), registry::Store::migrations()},
        db::Database::Options{.readers = 1});
    made->write_now([](db::Connection& c) {
      c.execute(
          "INSERT INTO registry_resources (kind, parent, name, type, uri, artifact_id, created_at, updated_at, body, "
          "custom) VALUES ('RegisteredModel', 0, 'iris', '', '', 0, 1, 2, '{\"owner\":\"ada\"}', "
          "'{\"x\":{\"int_value\":\"3\",\"metadataType\":\"MetadataIntValue\"}}')");
    });
    made->read_now([](db::Connection& c) { c.query("SELECT COUNT(*) FROM registry_resources").next(); });
    std::filesystem::remove_all(folder);
    return made;
  }();
  return *database;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto kind = static_cast<registry::Kind>(data[0] % 6);
  fuzz::taken([&] {
    const registry::Filter filter = registry::read_filter(kind, fuzz::text(data + 1, size - 1));
    if (filter.sql.empty()) return;
    std::vector<db::Connection::Value> values;
    for (const auto& value : filter.values) std::visit([&](const auto& one) { values.emplace_back(one); }, value);
    database().read_now([&](db::Connection& c) {
      db::Rows rows = c.query_values("SELECT t.id FROM registry_resources t WHERE " + filter.sql, values);
      while (rows.next()) {
      }
    });
  });
  return 0;
}
