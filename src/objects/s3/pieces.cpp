#include "objects/s3/pieces.h"

#include <unistd.h>

#include "objects/s3/sse.h"

namespace penstock::objects {

namespace {

// From here on a large content goes out by the kernel and is verified by the scrub; below, its bytes are compared with
// their checksum before the first goes out, once while the server runs.
constexpr uint64_t kVerifiedFirst = 8u << 20;
constexpr size_t kRead = 1u << 20;

Descriptor open_piece(Engine& engine, const Content& content) {
  if (content.size <= kVerifiedFirst) engine.verify(content);
  return engine.open_content(content);
}

}  // namespace

Async<std::vector<Piece>> pieces_of(Engine& engine, const Bucket& bucket, const Object& object,
                                    const std::vector<Part>& parts, Range range, const std::string& object_key) {
  std::vector<Piece> pieces;
  if (object.file) {
    const auto open = [&] { return std::make_shared<Descriptor>(engine.files().open(bucket.name, object.key)); };
    const auto file = co_await engine.pool().run(open);
    if (!*file) throw S3Error("NoSuchKey").with("Key", object.key);
    Piece piece;
    piece.file = file;
    piece.offset = range.first;
    piece.length = range.length;
    pieces.push_back(std::move(piece));
    co_return pieces;
  }
  uint64_t at = 0;
  const auto add = [&](const Content& content, const json::object* nonce) {
    const uint64_t begin = std::max(range.first, at), end = std::min(range.first + range.length, at + content.size);
    if (begin < end) {
      Piece piece;
      piece.content = content;
      piece.offset = begin - at;
      piece.length = end - begin;
      if (nonce != nullptr) piece.key = key_of_content(object_key, *nonce);
      pieces.push_back(std::move(piece));
    }
    at += content.size;
  };
  if (parts.empty()) add(object.content, find_object(object.meta, "sse"));
  for (const Part& part : parts) add(part.content, &part.checksum);
  co_return pieces;
}

Async<> read_piece(Engine& engine, const Piece& piece, const PieceSink& sink) {
  std::optional<StreamCipher> cipher;
  if (!piece.key.empty()) cipher.emplace(piece.key, piece.offset);
  if (!piece.file && engine.in_log(piece.content)) {
    const auto read = [&] {
      std::string data = engine.read_small(piece.content).substr(piece.offset, piece.length);
      if (cipher) cipher->apply(data.data(), data.size());
      return data;
    };
    const std::string data = co_await engine.pool().run(read);
    co_await sink(data);
    co_return;
  }
  Descriptor own;
  std::string buffer;
  for (uint64_t done = 0; done < piece.length;) {
    const auto read = [&] {
      if (!piece.file && !own) own = open_piece(engine, piece.content);
      buffer.resize(std::min<uint64_t>(kRead, piece.length - done));
      const ssize_t got = ::pread(piece.file ? piece.file->get() : own.get(), buffer.data(), buffer.size(),
                                  static_cast<off_t>(piece.offset + done));
      if (got < 0) throw_disk("reading an object");
      if (got == 0) throw Error(Code::Aborted, "the object has become shorter");
      buffer.resize(static_cast<size_t>(got));
      if (cipher) cipher->apply(buffer.data(), buffer.size());
    };
    co_await engine.pool().run(read);
    co_await sink(buffer);
    done += buffer.size();
  }
}

Async<> send_piece(Engine& engine, const Piece& piece, http::BodyWriter& out) {
  if (piece.file && piece.key.empty()) {
    co_await out.write_file(piece.file->get(), piece.offset, piece.length);
    co_return;
  }
  if (!piece.key.empty() || engine.in_log(piece.content)) {
    const PieceSink sink = [&out](std::string_view bytes) { return out.write(bytes); };
    co_await read_piece(engine, piece, sink);
    co_return;
  }
  const auto open = [&] { return open_piece(engine, piece.content); };
  const Descriptor file = co_await engine.pool().run(open);
  co_await out.write_file(file.get(), piece.offset, piece.length);
}

Async<> open_ahead(Engine& engine, std::vector<Piece>& pieces) {
  if (pieces.size() != 1 || pieces[0].file || engine.in_log(pieces[0].content)) co_return;
  const auto open = [&] { return std::make_shared<Descriptor>(open_piece(engine, pieces[0].content)); };
  pieces[0].file = co_await engine.pool().run(open);
}

}  // namespace penstock::objects
