#include "db/columns.h"

#include <algorithm>
#include <unordered_set>

#include "db/text_search.h"

namespace penstock::db {

namespace {

// Longer texts stay in the table: a row of them is worth hundreds of others.
constexpr size_t kLongText = 512;

using Selection = std::vector<uint32_t>;  // rows, ascending

// Keeps the rows for which `test` holds.
template <class Test>
void keep(Selection& rows, Test test) {
  size_t kept = 0;
  for (const uint32_t row : rows) {
    rows[kept] = row;
    kept += test(row) ? 1 : 0;
  }
  rows.resize(kept);
}

// Values of one column by row. Each kind of column has push_back(), set() and select().
struct Numbers {
  std::vector<int64_t> values;

  int64_t at(uint32_t row) const { return values[row]; }
  void select(Selection& rows, const Condition& condition) const {
    std::vector<std::pair<int64_t, int64_t>> ranges = condition.ranges;
    std::ranges::sort(ranges);
    if (ranges.empty()) ranges.emplace_back(1, 0);
    const bool wanted = !condition.negated;
    if (ranges.size() == 1) {
      const int64_t from = ranges[0].first, to = ranges[0].second;
      return keep(rows, [&](uint32_t row) { return (values[row] >= from && values[row] <= to) == wanted; });
    }
    keep(rows, [&](uint32_t row) {
      // All have one length, so that the last one which begins at or before the value is the one that may hold it.
      const auto after =
          std::ranges::upper_bound(ranges, values[row], {}, [](const auto& range) { return range.first; });
      return (after != ranges.begin() && values[row] <= std::prev(after)->second) == wanted;
    });
  }
};

// Tests one text; made once for a filter.
class TextTest {
 public:
  explicit TextTest(const Condition& condition)
      : condition_(condition), search_(condition.kind == Condition::Kind::Substring ? condition.texts[0] : "") {
    if (condition.kind == Condition::Kind::Equal) {
      set_.insert(condition.texts.begin(), condition.texts.end());
    }
  }
  bool operator()(std::string_view text) const { return holds(text) != condition_.negated; }

 private:
  bool holds(std::string_view text) const {
    switch (condition_.kind) {
      case Condition::Kind::Equal:
        return condition_.texts.size() == 1 ? text == condition_.texts[0] : set_.contains(text);
      case Condition::Kind::Less: return text < condition_.texts[0];
      case Condition::Kind::LessOrEqual: return text <= condition_.texts[0];
      case Condition::Kind::Substring: return search_.in(text);
      case Condition::Kind::Ranges: break;
    }
    return false;
  }
  const Condition& condition_;
  TextSearch search_;
  std::unordered_set<std::string_view> set_;
};

// Texts one after the other.
struct Texts {
  std::vector<uint32_t> begins;
  std::vector<uint16_t> sizes;
  std::string bytes = std::string(TextSearch::kPadding, '\0');
  size_t unused = 0;
  int64_t long_ones = 0;  // rows whose text is not here

  static constexpr uint16_t kLong = UINT16_MAX;

  std::string_view at(uint32_t row) const {
    return sizes[row] == kLong ? std::string_view() : std::string_view(bytes).substr(begins[row], sizes[row]);
  }
  void set(uint32_t row, std::string_view text) {
    if (sizes[row] == kLong) --long_ones;
    if (sizes[row] != kLong && at(row) == text) return;
    if (sizes[row] != kLong) unused += sizes[row];
    const size_t begin = bytes.size() - TextSearch::kPadding;
    if (text.size() > kLongText || begin + text.size() > UINT32_MAX) {
      sizes[row] = kLong;
      ++long_ones;
      return;
    }
    bytes.resize(begin);
    bytes += text;
    bytes.append(TextSearch::kPadding, '\0');
    begins[row] = static_cast<uint32_t>(begin);
    sizes[row] = static_cast<uint16_t>(text.size());
  }
  void push_back(std::string_view text) {
    begins.push_back(0);
    sizes.push_back(0);
    set(static_cast<uint32_t>(begins.size() - 1), text);
  }
  void select(Selection& rows, const Condition& condition) const {
    const TextTest test(condition);
    keep(rows, [&](uint32_t row) { return test(at(row)); });
  }
};

// Texts of which there are few different ones.
struct Words {
  std::vector<uint32_t> codes;
  std::vector<std::string> words;
  std::unordered_map<std::string, uint32_t> by_word;

  std::string_view at(uint32_t row) const { return words[codes[row]]; }
  uint32_t code_of(std::string_view text) {
    const auto [entry, added] = by_word.try_emplace(std::string(text), static_cast<uint32_t>(words.size()));
    if (added) words.emplace_back(text).append(TextSearch::kPadding, '\0').resize(text.size());
    return entry->second;
  }
  void select(Selection& rows, const Condition& condition) const {
    const TextTest test(condition);
    std::vector<uint8_t> holds;
    for (const std::string& word : words) holds.push_back(test(word) ? 1 : 0);
    keep(rows, [&](uint32_t row) { return holds[codes[row]] != 0; });
  }
};

using Column = std::variant<Numbers, Texts, Words>;

void set_value(Column& column, uint32_t row, bool added, const Rows& rows, int at) {
  if (auto* numbers = std::get_if<Numbers>(&column)) {
    if (added) numbers->values.push_back(0);
    numbers->values[row] = rows.integer(at);
  } else if (auto* texts = std::get_if<Texts>(&column)) {
    if (added) {
      texts->push_back(rows.text(at));
    } else {
      texts->set(row, rows.text(at));
    }
  } else if (auto* words = std::get_if<Words>(&column)) {
    const uint32_t code = words->code_of(rows.text(at));
    if (added) words->codes.push_back(0);
    words->codes[row] = code;
  }
}

// The first `count` of `rows` by (value, row), from `start` on. Walks them from the end that is likely to hold these.
template <class Value, class Get>
Selection first_rows(const Selection& rows, size_t count, bool descending,
                     const std::optional<std::pair<Value, int64_t>>& start, Get get) {
  using Item = std::pair<Value, int64_t>;
  const auto before = [descending](const Item& a, const Item& b) { return descending ? b < a : a < b; };
  std::vector<Item> first;  // a heap, the last of them on top
  const auto look = [&](uint32_t row) {
    const Item item{get(row), row};
    if (start && before(item, *start)) return;
    if (first.size() == count && !before(item, first.front())) return;
    if (first.size() == count) {
      std::ranges::pop_heap(first, before);
      first.pop_back();
    }
    first.push_back(item);
    std::ranges::push_heap(first, before);
  };
  if (descending) {
    std::for_each(rows.rbegin(), rows.rend(), look);
  } else {
    std::for_each(rows.begin(), rows.end(), look);
  }
  std::ranges::sort(first, before);
  Selection out;
  for (const Item& item : first) out.push_back(static_cast<uint32_t>(item.second));
  return out;
}

}  // namespace

struct Columns::Data {
  const ListModel& model;
  int64_t version = 0;
  std::vector<int64_t> keys;   // ascending
  std::vector<uint8_t> alive;  // by row
  size_t dead = 0;
  std::vector<std::string_view> names;  // of the SQL columns
  std::vector<Column> columns;
  std::string select;  // "seq, name, …"

  explicit Data(const ListModel& of) : model(of) { clear(); }
  void clear();
  const Column& column(const ListColumn& wanted) const;
  void put(const Rows& rows);
  void drop(int64_t key);
  void read_all(Connection& c);
  bool refresh(Connection& c);
  uint32_t row_of(int64_t key) const {
    return static_cast<uint32_t>(std::ranges::lower_bound(keys, key) - keys.begin());
  }
  bool has_long_texts(const ListColumn& wanted) const {
    const auto* texts = std::get_if<Texts>(&column(wanted));
    return texts != nullptr && texts->long_ones > 0;
  }
  Selection matching(std::vector<Condition> conditions) const;
  Found page(const Selection& rows, const Order& order) const;
};

void Columns::Data::clear() {
  keys.clear();
  alive.clear();
  dead = 0;
  names.clear();
  columns.clear();
  select = model.key;
  for (const ListColumn& column : model.columns) {
    if (std::ranges::find(names, column.column) != names.end()) continue;
    names.push_back(column.column);
    select += fmt::format(", {}", column.column);
    if (column.kind != ColumnKind::Text) {
      columns.emplace_back(Numbers());
    } else if (column.few_values) {
      columns.emplace_back(Words());
    } else {
      columns.emplace_back(Texts());
    }
  }
}

const Column& Columns::Data::column(const ListColumn& wanted) const {
  return columns[static_cast<size_t>(std::ranges::find(names, wanted.column) - names.begin())];
}

void Columns::Data::put(const Rows& rows) {
  const int64_t key = rows.integer(0);
  uint32_t row = static_cast<uint32_t>(keys.size());
  if (!keys.empty() && key <= keys.back()) row = row_of(key);
  const bool added = row == keys.size();
  CHECK_INVARIANT(added || keys[row] == key);  // new rows have the highest key
  if (added) {
    keys.push_back(key);
    alive.push_back(1);
  } else if (alive[row] == 0) {
    alive[row] = 1;
    --dead;
  }
  for (size_t i = 0; i < columns.size(); ++i) set_value(columns[i], row, added, rows, static_cast<int>(i) + 1);
}

void Columns::Data::drop(int64_t key) {
  const uint32_t row = row_of(key);
  if (row == keys.size() || keys[row] != key || alive[row] == 0) return;
  alive[row] = 0;
  ++dead;
}

void Columns::Data::read_all(Connection& c) {
  clear();
  Rows rows = c.query(fmt::format("SELECT {} FROM {} ORDER BY {}", select, model.table, model.key));
  while (rows.next()) put(rows);
}

// False when the connection sees an older state than this is at.
bool Columns::Data::refresh(Connection& c) {
  int64_t first = 0, last = 0;
  {
    Rows rows =
        c.query(fmt::format("SELECT (SELECT coalesce(min(version), 0) FROM {0}), "
                            "(SELECT coalesce(max(version), 0) FROM {0})",
                            model.changes_table));
    rows.next();
    first = rows.integer(0);
    last = rows.integer(1);
  }
  if (last < version) return false;
  if (last == version) return true;
  size_t garbage = 0, used = 0;
  for (const Column& column : columns) {
    if (const auto* texts = std::get_if<Texts>(&column)) garbage += texts->unused, used += texts->bytes.size();
  }
  const bool wasteful = 2 * dead > keys.size() + 1000 || 2 * garbage > used + 1'000'000;
  if (first > version + 1 || wasteful) {
    read_all(c);
  } else {
    std::vector<int64_t> changed;
    {
      Rows rows = c.query(
          fmt::format("SELECT DISTINCT seq FROM {} WHERE version > ? ORDER BY seq", model.changes_table), version);
      while (rows.next()) changed.push_back(rows.integer(0));
    }
    const std::string one = fmt::format("SELECT {} FROM {} WHERE {} = ?", select, model.table, model.key);
    for (const int64_t key : changed) {
      Rows rows = c.query(one, key);
      if (rows.next()) {
        put(rows);
      } else {
        drop(key);
      }
    }
  }
  version = last;
  return true;
}

Selection Columns::Data::matching(std::vector<Condition> conditions) const {
  Selection rows(keys.size());
  for (uint32_t row = 0; row < rows.size(); ++row) rows[row] = row;
  if (dead > 0) keep(rows, [&](uint32_t row) { return alive[row] != 0; });
  // Numbers and words take a moment; texts come last, when fewer rows are left.
  std::ranges::stable_sort(conditions, {}, [&](const Condition& condition) {
    return std::holds_alternative<Texts>(column(*condition.column)) ? 1 + (condition.kind == Condition::Kind::Substring)
                                                                    : 0;
  });
  for (const Condition& condition : conditions) {
    std::visit([&](const auto& values) { values.select(rows, condition); }, column(*condition.column));
  }
  return rows;
}

Columns::Found Columns::Data::page(const Selection& rows, const Order& order) const {
  const Column& by = column(*order.column);
  const auto* numbers = std::get_if<Numbers>(&by);
  const auto text_at = [&by](uint32_t row) {
    const auto* words = std::get_if<Words>(&by);
    return words != nullptr ? words->at(row) : std::get<Texts>(by).at(row);
  };
  // Where the row that a start names is gone, its place is the one before it in the order wanted.
  int64_t start_row = 0;
  if (order.start) {
    start_row = row_of(order.start->second);
    const bool there =
        start_row < static_cast<int64_t>(keys.size()) && keys[static_cast<size_t>(start_row)] == order.start->second;
    if (!there && order.descending) --start_row;
  }
  const size_t count = order.count + 1;
  Selection first;
  if (numbers != nullptr) {
    std::optional<std::pair<int64_t, int64_t>> start;
    if (order.start) start.emplace(std::get<int64_t>(order.start->first), start_row);
    first = first_rows(rows, count, order.descending, start, [&](uint32_t row) { return numbers->at(row); });
  } else {
    std::optional<std::pair<std::string_view, int64_t>> start;
    if (order.start) start.emplace(std::get<std::string>(order.start->first), start_row);
    first = first_rows(rows, count, order.descending, start, text_at);
  }
  Found found;
  found.total = static_cast<int64_t>(rows.size());
  if (first.size() == count) {
    const uint32_t row = first.back();
    first.pop_back();
    SqlValue value = numbers != nullptr ? SqlValue(numbers->at(row)) : SqlValue(std::string(text_at(row)));
    found.next.emplace(std::move(value), keys[row]);
  }
  for (const uint32_t row : first) found.keys.push_back(keys[row]);
  return found;
}

Columns::Columns(const ListModel& model) : model_(model), data_(std::make_unique<Data>(model)) {}

Columns::~Columns() = default;

// Under the lock.
void Columns::load(Connection& connection) {
  Rows rows = connection.query(fmt::format("SELECT coalesce(max(version), 0) FROM {}", model_.changes_table));
  rows.next();
  data_->version = rows.integer(0);
  data_->read_all(connection);
  loaded_ = true;
}

void Columns::catch_up(Connection& connection) {
  const std::lock_guard lock(mutex_);
  if (loaded_) {
    data_->refresh(connection);
  } else {
    load(connection);
  }
}

std::optional<Columns::Found> Columns::find(Connection& connection, const std::vector<Condition>& conditions,
                                            const Order& order) {
  std::unique_lock lock(mutex_, std::defer_lock);
  // The first reading takes long; what is asked meanwhile need not wait for it.
  if (loaded_) {
    lock.lock();
  } else if (!lock.try_lock()) {
    return std::nullopt;
  }
  if (!loaded_) load(connection);
  if (!data_->refresh(connection)) return std::nullopt;
  const bool long_texts = data_->has_long_texts(*order.column) || std::ranges::any_of(conditions, [&](const auto& one) {
                            return data_->has_long_texts(*one.column);
                          });
  if (long_texts) return std::nullopt;
  return data_->page(data_->matching(conditions), order);
}

}  // namespace penstock::db
