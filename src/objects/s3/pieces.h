// What an answer or a copy reads of an object: pieces of contents, opened where they are sealed.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "http/message.h"
#include "objects/engine.h"
#include "objects/s3/conditions.h"

namespace penstock::objects {

// A piece of one content, or of the file that a task wrote. Copies share the file, as those of an answer's stream do.
struct Piece {
  Content content;
  std::shared_ptr<Descriptor> file;  // when it is open; it stays readable whatever happens to the object
  uint64_t offset = 0;
  uint64_t length = 0;
  std::string key;  // of the content, where it is sealed
};

// `parts` are those of an object that was uploaded in parts. NoSuchKey when a task's file is gone.
Async<std::vector<Piece>> pieces_of(Engine& engine, const Bucket& bucket, const Object& object,
                                    const std::vector<Part>& parts, Range range, const std::string& object_key);

// Hands the bytes to `sink`, a few at a time.
using PieceSink = std::function<Async<>(std::string_view)>;
Async<> read_piece(Engine& engine, const Piece& piece, const PieceSink& sink);
// The same to a client: by the kernel, where that can be.
Async<> send_piece(Engine& engine, const Piece& piece, http::BodyWriter& out);
// Opens what is a single file, so that the answer can still say that it is damaged.
Async<> open_ahead(Engine& engine, std::vector<Piece>& pieces);

}  // namespace penstock::objects
