// Listing: rows and tasks' files in one order, by the bytes of their keys.
#include "objects/engine_state.h"

namespace penstock::objects {

namespace {

// A bucket's rows in order of key and then newest first, from any place.
class RowCursor {
 public:
  RowCursor(db::Connection& c, int64_t bucket) : connection_(c), bucket_(bucket) {}

  void seek(std::string_view from) {
    rows_.reset();
    rows_.emplace(connection_.query(
        fmt::format("SELECT {} FROM objects WHERE bucket = ? AND key >= ? ORDER BY key, sequence DESC", kObjectColumns),
        bucket_, from));
    next();
  }
  void next() {
    valid_ = rows_ && rows_->next();
    if (valid_) key_ = rows_->text(0);
  }
  bool at_end() const { return !valid_; }
  std::string_view key() const { return key_; }
  Object object() {
    Object object = object_of_row(*rows_);
    if (const auto stamp = rows_->text(10); !stamp.empty()) object.meta["stamp"] = stamp;
    return object;
  }
  bool marker() const { return rows_->integer(3) != 0; }

 private:
  db::Connection& connection_;
  int64_t bucket_;
  std::optional<db::Rows> rows_;
  bool valid_ = false;
  std::string key_;
};

// Both in one order: at each key all of its states, newest first.
class MergedCursor {
 public:
  MergedCursor(db::Connection& c, const FileTree& files, const Bucket& bucket)
      : rows_(c, bucket.id), files_(files, bucket.name), owner_(bucket.owner) {}

  void seek(std::string_view from) {
    rows_.seek(from);
    files_.seek(from);
    settle();
  }
  bool at_end() const { return rows_.at_end() && files_.at_end(); }
  const std::string& key() const { return key_; }

  // The states of this key, newest first, and on to the next one.
  std::vector<Object> take() {
    std::vector<Object> states;
    std::optional<FileStamp> stamp;
    if (!files_.at_end() && files_.key() == key_) {
      stamp = files_.stamp();
      files_.next();
    }
    while (!rows_.at_end() && rows_.key() == key_) {
      states.push_back(rows_.object());
      rows_.next();
    }
    if (stamp && !(!states.empty() && is_layout(states[0], *stamp))) {
      // It is the version "null", in the place of an older one.
      std::erase_if(states, [](const Object& state) { return state.version == "null"; });
      states.insert(states.begin(), object_of_file(key_, *stamp, owner_));
    }
    for (size_t i = 0; i < states.size(); ++i) states[i].latest = i == 0;
    settle();
    return states;
  }

 private:
  void settle() {
    if (rows_.at_end() && files_.at_end()) return;
    if (files_.at_end() || (!rows_.at_end() && rows_.key() <= files_.key())) {
      key_ = rows_.key();
    } else {
      key_ = files_.key();
    }
  }
  RowCursor rows_;
  FileTree::Walker files_;
  std::string owner_;
  std::string key_;
};

// The part of `key` up to the delimiter after the prefix; empty when there is none.
std::string group_of(std::string_view key, const ListQuery& query) {
  if (query.delimiter.empty()) return {};
  const size_t at = key.find(query.delimiter, query.prefix.size());
  return at == std::string_view::npos ? std::string() : std::string(key.substr(0, at + query.delimiter.size()));
}

// Where a page begins, or empty when nothing can be behind it.
std::optional<std::string> begin_of(const ListQuery& query) {
  std::string from = query.prefix;
  if (!query.after.empty() && query.after >= from) {
    // A group that was the last of a page is over with all of its keys.
    const std::string group = query.after.starts_with(query.prefix) ? group_of(query.after, query) : std::string();
    if (!group.empty() && group == query.after) {
      from = after_prefix(group);
      if (from.empty()) return std::nullopt;
    } else {
      from = query.after_version.empty() ? query.after + '\0' : query.after;
    }
  }
  return from;
}

// `shows` tells whether the states of a key are listed; `add` puts them on the page and says whether all found room.
template <class Shows, class Add>
void list_keys(MergedCursor& cursor, const ListQuery& query, ListPage& page, Shows shows, Add add) {
  const auto from = begin_of(query);
  if (query.limit == 0 || !from) return;
  cursor.seek(*from);
  while (!cursor.at_end() && cursor.key().starts_with(query.prefix)) {
    const std::string group = group_of(cursor.key(), query);
    const size_t count = page.objects.size() + page.prefixes.size();
    if (group.empty()) {
      auto states = cursor.take();
      if (shows(states) && !add(states, count)) return;
      continue;
    }
    // One visible key makes the group appear; the others need not be looked at.
    bool seen = false;
    while (!seen && !cursor.at_end() && cursor.key().starts_with(group)) seen = shows(cursor.take());
    if (!seen) continue;
    if (count >= query.limit) {
      page.truncated = true;
      return;
    }
    page.prefixes.push_back(group);
    page.next = group;
    const std::string behind = after_prefix(group);
    if (behind.empty()) return;
    cursor.seek(behind);
  }
}

}  // namespace

namespace {

ListPage list_objects(db::Connection& c, const FileTree& files, const Bucket& bucket, const ListQuery& query) {
  ListPage page;
  MergedCursor cursor(c, files, bucket);
  const auto shows = [](const std::vector<Object>& states) { return !states.empty() && !states[0].marker; };
  list_keys(cursor, query, page, shows, [&](std::vector<Object>& states, size_t count) {
    if (count >= query.limit) {
      page.truncated = true;
      return false;
    }
    page.next = states[0].key;
    page.objects.push_back(std::move(states[0]));
    return true;
  });
  return page;
}

ListPage list_object_versions(db::Connection& c, const FileTree& files, const Bucket& bucket, const ListQuery& query) {
  ListPage page;
  std::string last_version;
  MergedCursor cursor(c, files, bucket);
  const auto shows = [](const std::vector<Object>& states) { return !states.empty(); };
  list_keys(cursor, query, page, shows, [&](std::vector<Object>& states, size_t count) {
    size_t first = 0;
    if (!query.after_version.empty() && !states.empty() && states[0].key == query.after) {
      while (first < states.size() && states[first].version != query.after_version) ++first;
      ++first;
    }
    for (size_t i = first; i < states.size(); ++i, ++count) {
      if (count >= query.limit) {
        page.truncated = true;
        return false;
      }
      page.next = states[i].key;
      last_version = states[i].version;
      page.objects.push_back(std::move(states[i]));
    }
    return true;
  });
  page.next_version = page.prefixes.empty() || page.next != page.prefixes.back() ? last_version : std::string();
  return page;
}

}  // namespace

Async<ListPage> Engine::list(BucketPtr bucket, ListQuery query) {
  co_return co_await state_->database->read(
      [&](db::Connection& c) { return list_objects(c, state_->files, *bucket, query); });
}

ListPage Engine::list_now(const Bucket& bucket, const ListQuery& query) {
  ListPage page;
  state_->database->read_now([&](db::Connection& c) { page = list_objects(c, state_->files, bucket, query); });
  return page;
}

ListPage Engine::list_versions_now(const Bucket& bucket, const ListQuery& query) {
  ListPage page;
  state_->database->read_now([&](db::Connection& c) { page = list_object_versions(c, state_->files, bucket, query); });
  return page;
}

Async<ListPage> Engine::list_versions(BucketPtr bucket, ListQuery query) {
  co_return co_await state_->database->read(
      [&](db::Connection& c) { return list_object_versions(c, state_->files, *bucket, query); });
}

}  // namespace penstock::objects
