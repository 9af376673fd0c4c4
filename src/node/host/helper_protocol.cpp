#include "node/host/helper_protocol.h"

#include <cstring>

#include "base/error.h"

namespace penstock::node {

FrameWriter& FrameWriter::begin(MessageKind kind) {
  start_ = out_.size();
  out_.append(4, '\0');
  out_.push_back(static_cast<char>(kind));
  return *this;
}

FrameWriter& FrameWriter::number(uint64_t value) {
  out_.append(reinterpret_cast<const char*>(&value), sizeof value);
  return *this;
}

FrameWriter& FrameWriter::real(double value) {
  out_.append(reinterpret_cast<const char*>(&value), sizeof value);
  return *this;
}

FrameWriter& FrameWriter::text(std::string_view value) {
  uint32_t size = static_cast<uint32_t>(value.size());
  out_.append(reinterpret_cast<const char*>(&size), sizeof size);
  out_.append(value);
  return *this;
}

void FrameWriter::end() {
  size_t size = out_.size() - start_ - 4;
  if (size > kMaxFrame) {
    out_.resize(start_);
    throw invalid("a message of {} bytes to the node helper exceeds {} bytes: shorten the command or its environment",
                  size, kMaxFrame);
  }
  uint32_t little = static_cast<uint32_t>(size);
  std::memcpy(out_.data() + start_, &little, 4);
}

std::string_view FrameReader::take(size_t size) {
  if (rest_.size() < size) throw invalid("a message between server and node helper is cut short");
  std::string_view taken = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return taken;
}

MessageKind FrameReader::kind() { return static_cast<MessageKind>(take(1)[0]); }

uint64_t FrameReader::number() {
  uint64_t value;
  std::memcpy(&value, take(sizeof value).data(), sizeof value);
  return value;
}

double FrameReader::real() {
  double value;
  std::memcpy(&value, take(sizeof value).data(), sizeof value);
  return value;
}

std::string FrameReader::text() {
  uint32_t size;
  std::memcpy(&size, take(sizeof size).data(), sizeof size);
  return std::string(take(size));
}

std::optional<std::string_view> next_frame(std::string_view buffer, size_t& offset) {
  if (buffer.size() - offset < 4) return {};
  uint32_t size;
  std::memcpy(&size, buffer.data() + offset, 4);
  if (size > kMaxFrame || size == 0) throw invalid("a message of {} bytes between server and node helper", size);
  if (buffer.size() - offset - 4 < size) return {};
  std::string_view frame = buffer.substr(offset + 4, size);
  offset += 4 + size;
  return frame;
}

namespace {

void write_texts(FrameWriter& frame, const std::vector<std::string>& texts) {
  frame.number(texts.size());
  for (const std::string& text : texts) frame.text(text);
}

std::vector<std::string> read_texts(FrameReader& frame) {
  std::vector<std::string> texts;
  for (uint64_t left = frame.number(); left > 0; --left) texts.push_back(frame.text());
  return texts;
}

void write_mounts(FrameWriter& frame, const std::vector<Mount>& mounts) {
  frame.number(mounts.size());
  for (const Mount& mount : mounts) frame.text(mount.source.native()).text(mount.target).number(mount.read_only);
}

std::vector<Mount> read_mounts(FrameReader& frame) {
  std::vector<Mount> mounts;
  for (uint64_t left = frame.number(); left > 0; --left) {
    Mount mount;
    mount.source = frame.text();
    mount.target = frame.text();
    mount.read_only = frame.number() != 0;
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

}  // namespace

void write_hello(std::string& out, const HelperOptions& options) {
  FrameWriter frame(out);
  frame.begin(MessageKind::Hello).number(kHelperProtocol).number(options.sandbox);
  write_mounts(frame, options.shared_mounts);
  frame.number(static_cast<uint64_t>(options.warm));
  frame.end();
}

void read_hello(FrameReader& frame, HelperOptions& options) {
  options.sandbox = frame.number() != 0;
  options.shared_mounts = read_mounts(frame);
  options.warm = static_cast<int>(frame.number());
}

void write_start(std::string& out, const ProcessSpec& spec) {
  FrameWriter frame(out);
  frame.begin(MessageKind::Start).text(spec.id);
  write_texts(frame, spec.argv);
  write_texts(frame, spec.env);
  frame.text(spec.cwd).text(spec.log.native()).text(spec.tmp.native());
  write_mounts(frame, spec.mounts);
  frame.number(spec.sandbox).number(spec.memory_limit).real(spec.cpu_limit);
  frame.number(static_cast<uint64_t>(spec.pids_limit)).number(spec.log_limit);
  write_texts(frame, spec.devices);
  frame.text(spec.warm.program.native());
  write_texts(frame, spec.warm.imports);
  write_texts(frame, spec.warm.own);
  frame.end();
}

ProcessSpec read_spec(FrameReader& frame) {
  ProcessSpec spec;
  spec.id = frame.text();
  spec.argv = read_texts(frame);
  spec.env = read_texts(frame);
  spec.cwd = frame.text();
  spec.log = frame.text();
  spec.tmp = frame.text();
  spec.mounts = read_mounts(frame);
  spec.sandbox = frame.number() != 0;
  spec.memory_limit = frame.number();
  spec.cpu_limit = frame.real();
  spec.pids_limit = static_cast<int>(frame.number());
  spec.log_limit = frame.number();
  spec.devices = read_texts(frame);
  spec.warm.program = frame.text();
  spec.warm.imports = read_texts(frame);
  spec.warm.own = read_texts(frame);
  return spec;
}

void write_status(std::string& out, const ProcessStatus& status) {
  FrameWriter frame(out);
  frame.begin(MessageKind::Status).text(status.id).number(status.running);
  frame.number(static_cast<uint64_t>(status.pid)).number(static_cast<uint64_t>(status.exit_code));
  frame.number(static_cast<uint64_t>(status.signal)).number(status.oom_killed).number(status.sandboxed);
  frame.number(status.warm);
  frame.text(status.message);
  frame.number(static_cast<uint64_t>(to_micros(status.started_at)));
  frame.number(static_cast<uint64_t>(to_micros(status.finished_at)));
  frame.end();
}

ProcessStatus read_status(FrameReader& frame) {
  ProcessStatus status;
  status.id = frame.text();
  status.running = frame.number() != 0;
  status.pid = static_cast<int>(frame.number());
  status.exit_code = static_cast<int>(frame.number());
  status.signal = static_cast<int>(frame.number());
  status.oom_killed = frame.number() != 0;
  status.sandboxed = frame.number() != 0;
  status.warm = frame.number() != 0;
  status.message = frame.text();
  status.started_at = from_micros(static_cast<int64_t>(frame.number()));
  status.finished_at = from_micros(static_cast<int64_t>(frame.number()));
  return status;
}

}  // namespace penstock::node
