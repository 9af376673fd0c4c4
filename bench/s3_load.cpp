// A load generator for object stores: so many connections, each with one request at a time.
//
//   s3_load PUT|GET URL SIZE CONNECTIONS COUNT SECONDS NAMES [ACCESS SECRET]
//   s3_load write SIZE COUNT SECONDS FOLDER
//   s3_load append SIZE COUNT SECONDS FOLDER
//
// PUT and GET work on URL/0 … URL/<NAMES - 1> in turns until COUNT requests were begun or SECONDS have passed, and wait
// for those in flight. Bodies differ by a number in their first bytes, so that no store can keep them once; those that
// come back are counted, and the head of each is compared. With a key, requests are signed (version 4, the payload
// unsigned). `write` is the raw limit for durable objects: a file created, written, synced and closed, one after
// another; `append` writes to one file and syncs after each.
//
// Prints one line: requests seconds p50_us p99_us client_cpu_us_a_request. Anything unexpected ends it with status 1.
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "objects/checksum.h"

namespace {

using Clock = std::chrono::steady_clock;
namespace objects = penstock::objects;

constexpr size_t kPattern = 1u << 20;
constexpr size_t kStamp = 24;  // at the head of each body: a mark, the name's number, a number of its own
constexpr char kMark[] = "s3_load\n";

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> text, Args&&... args) {
  fmt::print(stderr, "s3_load: {}\n", fmt::format(text, std::forward<Args>(args)...));
  std::exit(1);
}

uint64_t number(const char* text) {
  uint64_t value = 0;
  const char* end = text + std::strlen(text);
  if (std::from_chars(text, end, value).ptr != end || end == text) fail("{} is no number", text);
  return value;
}

struct Plan {
  bool put = false;
  std::string host, path;
  sockaddr_in address{};
  uint64_t size = 0, count = 0, names = 1;
  size_t connections = 1;
  std::chrono::seconds limit{};
  std::string access, secret;
  std::string pattern;
  uint64_t run = 0;  // random: bodies of two runs differ as well
};

std::string utc(const char* form) {
  char out[32];
  const time_t now = std::time(nullptr);
  tm parts{};
  gmtime_r(&now, &parts);
  return {out, std::strftime(out, sizeof out, form, &parts)};
}

// The signature of a request without a query, whose path needs no escapes.
std::string authorization(const Plan& plan, std::string_view path) {
  const std::string time = utc("%Y%m%dT%H%M%SZ"), date = time.substr(0, 8), scope = date + "/us-east-1/s3/aws4_request";
  static std::string key, key_date;
  if (key_date != date) {
    key = objects::hmac_sha256("AWS4" + plan.secret, date);
    for (const char* part : {"us-east-1", "s3", "aws4_request"}) key = objects::hmac_sha256(key, part);
    key_date = date;
  }
  const auto canonical = fmt::format(
      "{}\n{}\n\nhost:{}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{}\n\nhost;x-amz-content-sha256;x-amz-"
      "date\n"
      "UNSIGNED-PAYLOAD",
      plan.put ? "PUT" : "GET", path, plan.host, time);
  const auto hash = objects::hex(objects::digest_of(objects::Algorithm::Sha256, canonical));
  const auto text = fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", time, scope, hash);
  return fmt::format(
      "x-amz-content-sha256: UNSIGNED-PAYLOAD\r\nx-amz-date: {}\r\nAuthorization: AWS4-HMAC-SHA256 "
      "Credential={}/{},SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature={}\r\n",
      time, plan.access, scope, objects::hex(objects::hmac_sha256(key, text)));
}

// One connection with the request that is on it.
struct Connection {
  int fd = -1;
  std::string out;    // the head, and of a body its stamp
  uint64_t sent = 0;  // of the head and the body
  std::string head;   // of the answer, while it comes
  bool in_body = false;
  uint64_t left = 0;  // of the answer's body
  std::string stamp;  // of it
  uint64_t name = 0;
  bool waits_for_room = false;
  Clock::time_point began;
};

class Load {
 public:
  explicit Load(Plan plan) : plan_(std::move(plan)), scratch_(256 * 1024) {}

  void run() {
    poll_ = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < plan_.connections; ++i) connections_.push_back(connect());
    began_ = Clock::now();
    rusage before{}, after{};
    getrusage(RUSAGE_SELF, &before);
    for (auto& connection : connections_) begin(*connection);
    epoll_event events[64];
    while (in_flight_ > 0) {
      const int ready = epoll_wait(poll_, events, 64, 60'000);
      if (ready == 0) fail("no answer for 60 s, {} requests in flight", in_flight_);
      for (int i = 0; i < ready; ++i) {
        auto& connection = *static_cast<Connection*>(events[i].data.ptr);
        if (events[i].events & EPOLLOUT) write(connection);
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read(connection);
      }
    }
    const auto seconds = std::chrono::duration<double>(Clock::now() - began_).count();
    getrusage(RUSAGE_SELF, &after);
    const auto micros = [](const rusage& u) {
      return double(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + double(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
    };
    std::ranges::sort(times_);
    fmt::print("{} {:.6f} {} {} {:.1f}\n", times_.size(), seconds, times_[times_.size() / 2],
               times_[times_.size() * 99 / 100], (micros(after) - micros(before)) / double(times_.size()));
  }

 private:
  std::unique_ptr<Connection> connect() {
    auto made = std::make_unique<Connection>();
    made->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(made->fd, reinterpret_cast<sockaddr*>(&plan_.address), sizeof plan_.address) != 0) {
      fail("connecting to {}: {}", plan_.host, std::strerror(errno));
    }
    fcntl(made->fd, F_SETFL, O_NONBLOCK);
    const int on = 1;
    setsockopt(made->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event event{EPOLLIN, {made.get()}};
    epoll_ctl(poll_, EPOLL_CTL_ADD, made->fd, &event);
    return made;
  }

  void begin(Connection& c) {
    if (begun_ >= plan_.count || Clock::now() - began_ >= plan_.limit) return;
    c.name = begun_ % plan_.names;
    const std::string path = fmt::format("{}/{}", plan_.path, c.name);
    c.out = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", plan_.put ? "PUT" : "GET", path, plan_.host);
    if (plan_.put) c.out += fmt::format("Content-Length: {}\r\n", plan_.size);
    if (!plan_.access.empty()) c.out += authorization(plan_, path);
    c.out += "\r\n";
    if (plan_.put) c.out += stamp(c.name, begun_);
    c.sent = 0;
    c.head.clear();
    c.stamp.clear();
    c.in_body = false;
    c.began = Clock::now();
    ++begun_;
    ++in_flight_;
    write(c);
  }

  std::string stamp(uint64_t name, uint64_t count) const {
    std::string out(kMark, 8);
    const uint64_t own = plan_.run + count;
    out.append(reinterpret_cast<const char*>(&name), 8);
    out.append(reinterpret_cast<const char*>(&own), 8);
    out.resize(std::min<uint64_t>(out.size(), plan_.size));
    return out;
  }

  // After the stamp the body goes on with the pattern, again and again.
  void write(Connection& c) {
    const uint64_t stamped = plan_.put ? std::min<uint64_t>(kStamp, plan_.size) : 0;
    const uint64_t total = c.out.size() + (plan_.put ? plan_.size - stamped : 0);
    while (c.sent < total) {
      iovec parts[2];
      int count = 0;
      if (c.sent < c.out.size()) parts[count++] = {c.out.data() + c.sent, c.out.size() - c.sent};
      const uint64_t at = c.sent < c.out.size() ? 0 : c.sent - c.out.size();
      const uint64_t rest = total - c.out.size() - at;
      const size_t offset = at % kPattern;
      if (rest > 0) parts[count++] = {plan_.pattern.data() + offset, std::min<uint64_t>(kPattern - offset, rest)};
      const ssize_t sent = writev(c.fd, parts, count);
      if (sent < 0 && errno == EAGAIN) return wait_for_room(c, true);
      if (sent < 0) fail("sending: {}", std::strerror(errno));
      c.sent += static_cast<uint64_t>(sent);
    }
    wait_for_room(c, false);
  }

  void wait_for_room(Connection& c, bool waits) {
    if (c.waits_for_room == waits) return;
    c.waits_for_room = waits;
    epoll_event event{EPOLLIN | (waits ? EPOLLOUT : 0u), {&c}};
    epoll_ctl(poll_, EPOLL_CTL_MOD, c.fd, &event);
  }

  void read(Connection& c) {
    while (true) {
      // What is not looked at is not copied either.
      const bool discard = c.in_body && c.stamp.size() >= kStamp;
      const ssize_t got = recv(c.fd, scratch_.data(), discard ? std::min<uint64_t>(c.left, 1u << 30) : scratch_.size(),
                               discard ? MSG_TRUNC : 0);
      if (got < 0 && errno == EAGAIN) return;
      if (got < 0) fail("receiving: {}", std::strerror(errno));
      if (got == 0) fail("the server closed a connection; of the answer came {:?}", c.head);
      if (discard) {
        c.left -= static_cast<uint64_t>(got);
      } else if (!take(c, {scratch_.data(), static_cast<size_t>(got)})) {
        continue;
      }
      if (c.left > 0) continue;
      end(c);
      return;
    }
  }

  // False until the head is whole.
  bool take(Connection& c, std::string_view bytes) {
    if (!c.in_body) {
      c.head += bytes;
      const size_t end = c.head.find("\r\n\r\n");
      if (end == std::string::npos) return false;
      const std::string rest = c.head.substr(end + 4);
      c.head.resize(end + 2);
      read_head(c);
      c.in_body = true;
      return take(c, rest);
    }
    if (bytes.size() > c.left) fail("the answer is longer than it said");
    c.left -= bytes.size();
    c.stamp += bytes.substr(0, kStamp - std::min(kStamp, c.stamp.size()));
    return true;
  }

  void read_head(Connection& c) {
    const std::string_view head = c.head;
    const bool good = head.starts_with(plan_.put ? "HTTP/1.1 20" : "HTTP/1.1 200");
    if (!good) fail("the answer is {:?}", head);
    c.left = 0;
    for (size_t at = 0; (at = head.find("\r\n", at)) != std::string_view::npos && at + 2 < head.size(); at += 2) {
      static constexpr std::string_view kLength = "content-length:";
      const auto line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
      if (line.size() < kLength.size() || strncasecmp(line.data(), kLength.data(), kLength.size()) != 0) continue;
      c.left = std::strtoull(std::string(line.substr(kLength.size())).c_str(), nullptr, 10);
    }
    if (!plan_.put && c.left != plan_.size) fail("an object of {} bytes came with {}", plan_.size, c.left);
  }

  void end(Connection& c) {
    const std::string wanted = stamp(c.name, 0).substr(0, 16);
    if (!plan_.put && !c.stamp.starts_with(wanted)) fail("object {} has the content of another", c.name);
    const auto took = Clock::now() - c.began;
    times_.push_back(static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
    --in_flight_;
    begin(c);
  }

  Plan plan_;
  std::vector<char> scratch_;
  int poll_ = -1;
  std::vector<std::unique_ptr<Connection>> connections_;
  Clock::time_point began_;
  uint64_t begun_ = 0, in_flight_ = 0;
  std::vector<uint64_t> times_;
};

std::string random_bytes(size_t size) {
  std::mt19937_64 random{std::random_device{}()};
  std::string out(size, '\0');
  for (size_t i = 0; i + 8 <= size; i += 8) {
    const uint64_t value = random();
    std::memcpy(out.data() + i, &value, 8);
  }
  return out;
}

void write_whole(int fd, const std::string& pattern, uint64_t size) {
  while (size > 0) {
    const ssize_t written = ::write(fd, pattern.data(), std::min<uint64_t>(size, pattern.size()));
    if (written < 0) fail("writing: {}", std::strerror(errno));
    size -= static_cast<uint64_t>(written);
  }
  if (fdatasync(fd) != 0) fail("syncing: {}", std::strerror(errno));
}

int open_new(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) fail("creating {}: {}", path, std::strerror(errno));
  return fd;
}

void raw_writes(bool append, uint64_t size, uint64_t count, std::chrono::seconds limit, const std::string& folder) {
  const std::string pattern = random_bytes(kPattern);
  std::vector<uint64_t> times;
  std::vector<std::string> made;
  int fd = -1;
  if (append) fd = open_new(made.emplace_back(folder + "/log"));
  const auto began = Clock::now();
  for (uint64_t i = 0; i < count && Clock::now() - began < limit; ++i) {
    const auto start = Clock::now();
    if (!append) fd = open_new(made.emplace_back(fmt::format("{}/{}", folder, i)));
    write_whole(fd, pattern, size);
    if (!append) close(fd);
    times.push_back(
        static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count()));
  }
  const auto seconds = std::chrono::duration<double>(Clock::now() - began).count();
  for (const auto& path : made) unlink(path.c_str());
  std::ranges::sort(times);
  fmt::print("{} {:.6f} {} {} 0\n", times.size(), seconds, times[times.size() / 2], times[times.size() * 99 / 100]);
}

void read_url(std::string_view url, Plan& plan) {
  static constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) fail("the URL must begin with http://");
  url.remove_prefix(kScheme.size());
  const size_t slash = std::min(url.find('/'), url.size()), colon = url.find(':');
  if (colon >= slash) fail("the URL needs a port");
  plan.host = url.substr(0, slash);
  plan.path = url.substr(slash);
  plan.address.sin_family = AF_INET;
  plan.address.sin_port = htons(static_cast<uint16_t>(number(plan.host.c_str() + colon + 1)));
  if (inet_pton(AF_INET, plan.host.substr(0, colon).c_str(), &plan.address.sin_addr) != 1) fail("no address: {}", url);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  if ((what == "write" || what == "append") && argc == 6) {
    raw_writes(what == "append", number(argv[2]), number(argv[3]), std::chrono::seconds(number(argv[4])), argv[5]);
    return 0;
  }
  if ((what != "PUT" && what != "GET") || (argc != 8 && argc != 10)) {
    fail("PUT|GET URL SIZE CONNECTIONS COUNT SECONDS NAMES [ACCESS SECRET], or write|append SIZE COUNT SECONDS FOLDER");
  }
  Plan plan;
  plan.put = what == "PUT";
  read_url(argv[2], plan);
  plan.size = number(argv[3]);
  plan.connections = number(argv[4]);
  plan.count = number(argv[5]);
  plan.limit = std::chrono::seconds(number(argv[6]));
  plan.names = std::max<uint64_t>(1, number(argv[7]));
  if (argc == 10) {
    plan.access = argv[8];
    plan.secret = argv[9];
  }
  plan.pattern = random_bytes(kPattern);
  plan.run = std::random_device{}() * uint64_t{1} << 32;
  Load(std::move(plan)).run();
}
