// What the server and its helper say to each other over <data>/node/helper.sock.
//
// Each message is a frame: its length (4 bytes, little endian, of what follows), its kind (1 byte), its fields. Numbers
// are little endian, texts are a 4-byte length and bytes. Both ends put many frames into one write.
//
//   server: Hello{version, sandbox, shared mounts, warm}   once, first
//   helper: Hello{version, pid, problem}    then a Status for each process that it knows, then Known
//   server: Start{spec}, Signal{id, number}, Forget{id}
//   helper: Status{status}                  when a process has started, and when it has ended
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "node/host/spawner.h"

namespace penstock::node {

inline constexpr uint32_t kHelperProtocol = 2;
inline constexpr uint32_t kMaxFrame = 16u << 20;

enum class MessageKind : uint8_t { Hello = 1, Known = 2, Start = 3, Signal = 4, Forget = 5, Status = 6 };

// Appends frames to a buffer. begin(), fields, end().
class FrameWriter {
 public:
  explicit FrameWriter(std::string& out) : out_(out) {}
  FrameWriter& begin(MessageKind kind);
  FrameWriter& number(uint64_t value);
  FrameWriter& real(double value);
  FrameWriter& text(std::string_view value);
  void end();

 private:
  std::string& out_;
  size_t start_ = 0;
};

// Reads one frame's fields in their order. Throws InvalidArgument when the frame is too short.
class FrameReader {
 public:
  explicit FrameReader(std::string_view body) : rest_(body) {}
  MessageKind kind();
  uint64_t number();
  double real();
  std::string text();

 private:
  std::string_view take(size_t size);
  std::string_view rest_;
};

// Takes the first whole frame (without its length) off `buffer`, from `offset` on, and moves `offset` past it. Empty
// when it has not come in full yet. Throws InvalidArgument when it is larger than kMaxFrame.
std::optional<std::string_view> next_frame(std::string_view buffer, size_t& offset);

void write_hello(std::string& out, const HelperOptions& options);
// After the version.
void read_hello(FrameReader& frame, HelperOptions& options);
void write_start(std::string& out, const ProcessSpec& spec);
ProcessSpec read_spec(FrameReader& frame);
void write_status(std::string& out, const ProcessStatus& status);
ProcessStatus read_status(FrameReader& frame);

}  // namespace penstock::node
