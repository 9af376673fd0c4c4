// Multipart uploads: lists of parts, each a content, that become an object without being copied.
#include "objects/engine_state.h"

namespace penstock::objects {

namespace {

constexpr size_t kMinPart = 5u << 20;

S3Error no_upload(std::string_view id) {
  S3Error error("NoSuchUpload");
  return error.with("UploadId", std::string(id));
}

std::optional<UploadInfo> find_upload(db::Connection& c, int64_t bucket, std::string_view key, std::string_view id) {
  auto rows = c.query("SELECT initiated, meta FROM uploads WHERE bucket = ? AND key = ? AND id = ?", bucket, key, id);
  if (!rows.next()) return std::nullopt;
  UploadInfo info;
  info.id = id;
  info.key = key;
  info.initiated = from_micros(rows.integer(0));
  info.meta = parse_json(rows.text(1)).as_object();
  return info;
}

UploadInfo need_upload(db::Connection& c, int64_t bucket, std::string_view key, std::string_view id) {
  auto found = find_upload(c, bucket, key, id);
  if (!found) throw no_upload(id);
  return std::move(*found);
}

}  // namespace

std::vector<Part> read_parts(db::Connection& c, std::string_view list, int after, size_t limit) {
  std::vector<Part> parts;
  auto rows = c.query(
      "SELECT p.number, p.content, p.size, p.etag, p.modified, p.checksum, k.segment, k.offset, k.crc FROM parts p "
      "LEFT JOIN contents k ON k.id = p.content WHERE p.list = ? AND p.number > ? ORDER BY p.number",
      list, after);
  while (parts.size() < limit && rows.next()) {
    Part part;
    part.number = static_cast<int>(rows.integer(0));
    part.content = {rows.integer(1),
                    {rows.integer(6), rows.integer(7)},
                    static_cast<uint64_t>(rows.integer(2)),
                    static_cast<uint32_t>(rows.integer(8))};
    part.etag = rows.string(3);
    part.modified = from_micros(rows.integer(4));
    part.checksum = parse_json(rows.text(5)).as_object();
    parts.push_back(std::move(part));
  }
  return parts;
}

Async<std::string> Engine::create_upload(BucketPtr bucket, std::string key, json::object meta) {
  std::string id = new_uuid();
  std::erase(id, '-');
  co_await state_->write([&, this](db::Connection& c, Garbage&) {
    const BucketPtr now = state_->same_bucket(*bucket);
    c.execute("INSERT INTO uploads (bucket, key, id, initiated, meta) VALUES (?, ?, ?, ?, ?)", now->id, key, id,
              to_micros(state_->clock.now()), to_text(meta));
  });
  co_return id;
}

Async<UploadInfo> Engine::upload(BucketPtr bucket, std::string key, std::string id) {
  co_return co_await state_->database->read([&](db::Connection& c) { return need_upload(c, bucket->id, key, id); });
}

namespace {

void put_part_row(db::Connection& c, std::string_view list, const Part& part) {
  c.execute(
      "INSERT INTO parts (list, number, content, size, etag, modified, checksum) VALUES (?, ?, ?, ?, ?, ?, ?) "
      "ON CONFLICT (list, number) DO UPDATE SET content = excluded.content, size = excluded.size, "
      "etag = excluded.etag, modified = excluded.modified, checksum = excluded.checksum",
      list, part.number, part.content.id, part.content.size, part.etag, to_micros(part.modified),
      to_text(part.checksum));
}

int64_t content_of_part(db::Connection& c, std::string_view list, int number) {
  auto rows = c.query("SELECT content FROM parts WHERE list = ? AND number = ?", list, number);
  return rows.next() ? rows.integer(0) : 0;
}

}  // namespace

Async<Part> Engine::put_part(BucketPtr bucket, std::string key, std::string upload, Part part, Staged staged) {
  part.content.size = staged.size;
  auto job = [&, this](db::Connection& c, Garbage& garbage, int64_t content) {
    need_upload(c, bucket->id, key, upload);
    const int64_t old = content_of_part(c, upload, part.number);
    part.content.id = content;
    part.modified = state_->clock.now();
    put_part_row(c, upload, part);
    state_->drop_content(c, old, garbage);
  };
  co_await state_->write_staged(staged, job);
  co_return part;
}

Async<Part> Engine::share_part(BucketPtr bucket, std::string key, std::string upload, Part part) {
  co_await state_->write([&, this](db::Connection& c, Garbage& garbage) {
    need_upload(c, bucket->id, key, upload);
    const int64_t old = content_of_part(c, upload, part.number);
    state_->add_reference(c, part.content.id);
    part.modified = state_->clock.now();
    put_part_row(c, upload, part);
    state_->drop_content(c, old, garbage);
  });
  co_return part;
}

Async<std::vector<Part>> Engine::upload_parts(std::string upload, int after, size_t limit) {
  co_return co_await state_->database->read([&](db::Connection& c) { return read_parts(c, upload, after, limit); });
}

Async<std::vector<Part>> Engine::parts_of(Object object) {
  co_return co_await state_->database->read(
      [&](db::Connection& c) { return read_parts(c, object.parts, 0, SIZE_MAX); });
}

std::vector<Part> Engine::parts_now(const Object& object) {
  std::vector<Part> parts;
  if (object.parts.empty()) return parts;
  state_->database->read_now([&](db::Connection& c) { parts = read_parts(c, object.parts, 0, SIZE_MAX); });
  return parts;
}

namespace {

// The parts that the client named, in its order.
std::vector<Part> choose(const std::vector<Part>& all, const std::vector<CompletedPart>& chosen) {
  std::vector<Part> out;
  int before = 0;
  for (const CompletedPart& wanted : chosen) {
    if (wanted.number <= before) throw S3Error("InvalidPartOrder");
    before = wanted.number;
    const auto found = std::ranges::lower_bound(all, wanted.number, {}, &Part::number);
    if (found == all.end() || found->number != wanted.number || found->etag != wanted.etag) {
      throw S3Error("InvalidPart").with("PartNumber", std::to_string(wanted.number));
    }
    for (const auto& [name, value] : wanted.checksum) {
      const json::value* known = find(found->checksum, name);
      if (known == nullptr || *known != value) throw S3Error("InvalidPart", "The part's checksum does not match");
    }
    out.push_back(*found);
  }
  for (size_t i = 0; i + 1 < out.size(); ++i) {
    if (out[i].content.size < kMinPart) {
      throw S3Error("EntityTooSmall")
          .with("PartNumber", std::to_string(out[i].number))
          .with("ProposedSize", std::to_string(out[i].content.size))
          .with("MinSizeAllowed", std::to_string(kMinPart));
    }
  }
  return out;
}

}  // namespace

Async<Written> Engine::complete(BucketPtr bucket, std::string upload, std::vector<CompletedPart> chosen,
                                std::function<NewObject(const UploadInfo&, const std::vector<Part>&)> make) {
  std::string key;
  {
    key = co_await state_->database->read([&](db::Connection& c) {
      auto rows = c.query("SELECT key FROM uploads WHERE bucket = ? AND id = ?", bucket->id, upload);
      return rows.next() ? rows.string(0) : throw no_upload(upload);
    });
  }
  co_await state_->take_in_if_file(bucket, key, false);
  Written written;
  co_await state_->write(
      [&, this](db::Connection& c, Garbage& garbage) {
        const BucketPtr now = state_->same_bucket(*bucket);
        const UploadInfo info = need_upload(c, now->id, key, upload);
        const std::vector<Part> all = read_parts(c, upload, 0, SIZE_MAX);
        const std::vector<Part> parts = choose(all, chosen);
        const NewObject object = make(info, parts);
        if (object.check) {
          const auto current = state_->current(c, *now, key);
          object.check(current && !current->marker ? &*current : nullptr);
        }
        Object row;
        row.key = key;
        row.parts = upload;
        row.etag = written.etag = object.etag;
        row.meta = object.meta;
        row.modified = written.modified = state_->clock.now();
        for (const Part& part : parts) row.size += part.content.size;
        size_t next = 0;
        for (const Part& part : all) {
          if (next < parts.size() && parts[next].number == part.number) {
            ++next;
            continue;
          }
          state_->drop_content(c, part.content.id, garbage);
          c.execute("DELETE FROM parts WHERE list = ? AND number = ?", upload, part.number);
        }
        c.execute("DELETE FROM uploads WHERE bucket = ? AND key = ? AND id = ?", now->id, key, upload);
        const auto version = state_->insert(c, *now, row, to_text(row.meta), garbage);
        written.version = now->versioning == Versioning::Enabled ? version : std::string();
      },
      [&, this] { state_->files.remove(bucket->name, key); });
  co_return written;
}

void Engine::State::abort(db::Connection& c, const Bucket& bucket, std::string_view key, std::string_view upload,
                          Garbage& garbage) {
  need_upload(c, bucket.id, key, upload);
  for (const Part& part : read_parts(c, upload, 0, SIZE_MAX)) drop_content(c, part.content.id, garbage);
  c.execute("DELETE FROM parts WHERE list = ?", upload);
  c.execute("DELETE FROM uploads WHERE bucket = ? AND key = ? AND id = ?", bucket.id, key, upload);
}

Async<> Engine::abort(BucketPtr bucket, std::string key, std::string upload) {
  co_await state_->write(
      [&, this](db::Connection& c, Garbage& garbage) { state_->abort(c, *bucket, key, upload, garbage); });
}

void Engine::abort_now(const Bucket& bucket, const UploadInfo& upload) {
  state_->write_now(
      [&](db::Connection& c, Garbage& garbage) { state_->abort(c, bucket, upload.key, upload.id, garbage); });
}

namespace {

UploadPage list_upload_rows(db::Connection& c, const Bucket& bucket, const ListQuery& query) {
  UploadPage page;
  if (query.limit == 0) return page;
  std::string from_key = std::max(query.prefix, query.after), from_id;
  if (query.after >= query.prefix && !query.after.empty()) {
    // Without an id, all uploads of the marker's key are behind us.
    from_id = query.after_version;
    if (from_id.empty()) from_key = query.after + '\0';
  }
  auto rows =
      c.query("SELECT key, id, initiated, meta FROM uploads WHERE bucket = ? AND (key, id) > (?, ?) ORDER BY key, id",
              bucket.id, from_key, from_id);
  std::string last_group;
  while (rows.next()) {
    const auto key = rows.text(0);
    if (!key.starts_with(query.prefix)) break;
    std::string group;
    if (!query.delimiter.empty()) {
      const size_t at = key.find(query.delimiter, query.prefix.size());
      if (at != std::string_view::npos) group = key.substr(0, at + query.delimiter.size());
    }
    if (!group.empty() && (group == last_group || group == query.after)) continue;
    if (page.uploads.size() + page.prefixes.size() >= query.limit) {
      page.truncated = true;
      break;
    }
    if (!group.empty()) {
      page.prefixes.push_back(last_group = group);
      page.next_key = group;
      page.next_id.clear();
      continue;
    }
    UploadInfo info;
    info.key = key;
    info.id = rows.string(1);
    info.initiated = from_micros(rows.integer(2));
    info.meta = parse_json(rows.text(3)).as_object();
    page.next_key = info.key;
    page.next_id = info.id;
    page.uploads.push_back(std::move(info));
  }
  return page;
}

}  // namespace

std::vector<UploadInfo> Engine::uploads_now(const Bucket& bucket) {
  UploadPage page;
  ListQuery query;
  query.limit = SIZE_MAX;
  state_->database->read_now([&](db::Connection& c) { page = list_upload_rows(c, bucket, query); });
  return std::move(page.uploads);
}

Async<UploadPage> Engine::list_uploads(BucketPtr bucket, ListQuery query) {
  co_return co_await state_->database->read([&](db::Connection& c) { return list_upload_rows(c, *bucket, query); });
}

}  // namespace penstock::objects
