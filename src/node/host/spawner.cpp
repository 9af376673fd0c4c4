#include "node/host/spawner.h"

#include <csignal>
#include <map>
#include <mutex>
#include <set>

#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <spdlog/spdlog.h>

#include "base/error.h"
#include "node/host/helper_protocol.h"
#include "node/host/spawner_connect.h"

namespace penstock::node {

namespace {

using Socket = asio::basic_stream_socket<asio::local::stream_protocol, Executor>;

constexpr size_t kReadSize = 64 << 10;

Time now() { return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now()); }

// The connection to the helper and what is known of its processes. Lives on the loop; shared with the socket's
// handlers, which may come after the Spawner's end.
class Link : public std::enable_shared_from_this<Link> {
 public:
  Link(Loop& loop, HelperOptions options) : loop_(loop), options_(std::move(options)) {}
  ~Link() {
    if (reconnecting_.joinable()) reconnecting_.join();
  }

  // Runs `work` on the loop: now when this is it.
  void on_loop(std::function<void()> work) {
    if (loop_.running_here()) return work();
    loop_.post([self = shared_from_this(), work = std::move(work)] { work(); });
  }

  Executor executor() { return loop_.executor(); }

  void open(HelperConnection connection) {
    socket_.emplace(loop_.executor());
    socket_->assign(asio::local::stream_protocol(), connection.socket);
    {
      std::lock_guard lock(mutex_);
      problem_ = connection.problem;
    }
    for (ProcessStatus& status : connection.statuses) changed(std::move(status));
    in_ = std::move(connection.rest);
    writing_.clear();
    read();
    schedule_write();
  }

  void close() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    on_loop([this] {
      boost::system::error_code ignored;
      if (socket_) socket_->close(ignored);
    });
  }

  void set_on_change(Spawner::OnChange on_change) {
    {
      std::lock_guard lock(mutex_);
      on_change_ = std::move(on_change);
    }
    // As posted work, so that the caller is done with what it sets up.
    loop_.post([self = shared_from_this()] {
      auto known = self->known_;
      for (const auto& [id, status] : known) self->notify(status);
    });
  }

  void start(const ProcessSpec& spec) {
    try {
      write_start(out_, spec);
    } catch (const Error& error) {
      return fail(spec.id, 126, 0, error.message());
    }
    expected_.insert(spec.id);
    if (!socket_ && !reconnecting_.joinable()) reconnect();
    schedule_write();
  }

  void signal(const std::string& id, int number) {
    FrameWriter frame(out_);
    frame.begin(MessageKind::Signal).text(id).number(static_cast<uint64_t>(number));
    frame.end();
    schedule_write();
  }

  void forget(const std::string& id) {
    auto found = known_.find(id);
    if (found == known_.end()) return;
    if (!found->second.running) known_.erase(found);
    FrameWriter frame(out_);
    frame.begin(MessageKind::Forget).text(id);
    frame.end();
    schedule_write();
  }

  std::vector<ProcessStatus> list() const {
    std::vector<ProcessStatus> all;
    for (const auto& [id, status] : known_) all.push_back(status);
    return all;
  }

  std::string problem() const {
    std::lock_guard lock(mutex_);
    return problem_;
  }

 private:
  void notify(const ProcessStatus& status) {
    // Held during the call, so that after close() from another thread none is under way.
    std::lock_guard lock(mutex_);
    if (!closed_ && on_change_) on_change_(status);
  }

  void changed(ProcessStatus status) {
    expected_.erase(status.id);
    ProcessStatus& known = known_[status.id];
    bool news = known.id.empty() || known.running != status.running;
    known = std::move(status);
    if (!news) return;
    ProcessStatus copy = known;
    notify(copy);
  }

  void fail(const std::string& id, int exit_code, int signal_number, std::string message) {
    ProcessStatus status;
    auto found = known_.find(id);
    if (found != known_.end()) status = found->second;
    status.id = id;
    status.running = false;
    status.pid = 0;
    status.exit_code = exit_code;
    status.signal = signal_number;
    status.message = std::move(message);
    status.finished_at = now();
    if (status.started_at == Time{}) status.started_at = status.finished_at;
    loop_.post([self = shared_from_this(), status] { self->changed(status); });
  }

  // One write for all that is sent in the same turn of the loop.
  void schedule_write() {
    if (write_scheduled_ || !socket_) return;
    write_scheduled_ = true;
    loop_.post([self = shared_from_this()] {
      self->write_scheduled_ = false;
      self->write();
    });
  }

  void write() {
    if (!writing_.empty() || out_.empty() || !socket_) return;
    writing_.swap(out_);
    asio::async_write(*socket_, asio::buffer(writing_),
                      [self = shared_from_this(), turn = turn_](boost::system::error_code error, size_t) {
                        if (error || turn != self->turn_) return;  // the read ends too, and deals with it
                        self->writing_.clear();
                        self->write();
                      });
  }

  void read() {
    if (!take_frames()) return;
    buffer_.resize(kReadSize);
    socket_->async_read_some(asio::buffer(buffer_),
                             [self = shared_from_this()](boost::system::error_code error, size_t size) {
                               if (error) return self->lost();
                               self->in_.append(self->buffer_.data(), size);
                               self->read();
                             });
  }

  bool take_frames() {
    size_t offset = 0;
    try {
      while (std::optional<std::string_view> body = next_frame(in_, offset)) {
        FrameReader frame(*body);
        if (frame.kind() == MessageKind::Status) changed(read_status(frame));
      }
    } catch (const Error& error) {
      spdlog::error("node helper: {}", error.message());
      lost();
      return false;
    }
    in_.erase(0, offset);
    return true;
  }

  // The helper has died, and with it all that it ran.
  void lost() {
    {
      std::lock_guard lock(mutex_);
      if (closed_) return;
    }
    spdlog::error("the node helper died; its processes died with it; another is started");
    socket_.reset();
    ++turn_;
    in_.clear();
    out_.clear();
    writing_.clear();
    fail_all("the node helper died");
    reconnect();
  }

  void fail_all(const std::string& message) {
    std::set<std::string> ended = std::move(expected_);
    expected_.clear();
    for (const auto& [id, status] : known_) {
      if (status.running) ended.insert(id);
    }
    for (const std::string& id : ended) fail(id, 128 + SIGKILL, SIGKILL, message);
  }

  // On a thread, as it blocks; the loop goes on, and what it sends meanwhile is kept in out_.
  void reconnect() {
    if (reconnecting_.joinable()) reconnecting_.join();
    reconnecting_ = std::thread([weak = weak_from_this(), &loop = loop_, options = options_] {
      HelperConnection connection;
      std::string problem;
      try {
        connection = connect_helper(options);
      } catch (const Error& error) {
        problem = error.message();
      }
      loop.post([weak, connection = std::move(connection), problem]() mutable {
        if (auto self = weak.lock()) self->reconnected(std::move(connection), problem);
      });
    });
  }

  void reconnected(HelperConnection connection, const std::string& problem) {
    if (reconnecting_.joinable()) reconnecting_.join();
    bool closed;
    {
      std::lock_guard lock(mutex_);
      closed = closed_;
    }
    if (closed) {
      if (connection.socket >= 0) ::close(connection.socket);
    } else if (problem.empty()) {
      open(std::move(connection));
    } else {
      spdlog::error("{}", problem);
      out_.clear();
      fail_all(problem);
    }
  }

  Loop& loop_;
  HelperOptions options_;
  std::optional<Socket> socket_;
  std::string in_, out_, writing_, buffer_;
  bool write_scheduled_ = false;
  uint64_t turn_ = 0;  // counts connections, so that a late handler knows that it is late
  std::map<std::string, ProcessStatus> known_;
  std::set<std::string> expected_;  // started, not yet heard of
  std::thread reconnecting_;
  mutable std::recursive_mutex mutex_;  // guards the three below
  bool closed_ = false;
  Spawner::OnChange on_change_;
  std::string problem_;
};

class HelperSpawner : public Spawner {
 public:
  HelperSpawner(Loop& loop, HelperOptions options) : link_(std::make_shared<Link>(loop, options)) {
    HelperConnection connection = connect_helper(options);
    auto opened = std::make_shared<HelperConnection>(std::move(connection));
    problem_at_start_ = opened->problem;
    link_->on_loop([link = link_.get(), opened] { link->open(std::move(*opened)); });
  }
  ~HelperSpawner() override { link_->close(); }

  void set_on_change(OnChange on_change) override { link_->set_on_change(std::move(on_change)); }
  void start(ProcessSpec spec) override {
    link_->on_loop([link = link_.get(), spec = std::move(spec)] { link->start(spec); });
  }
  void signal(const std::string& id, int number) override {
    link_->on_loop([link = link_.get(), id, number] { link->signal(id, number); });
  }
  void forget(const std::string& id) override {
    link_->on_loop([link = link_.get(), id] { link->forget(id); });
  }
  Async<std::vector<ProcessStatus>> list() override {
    std::shared_ptr<Link> link = link_;
    // Not a temporary of the co_await: g++ 12 destroys what a closure in one captures twice.
    auto read = [link]() -> Async<std::vector<ProcessStatus>> { co_return link->list(); };
    co_return co_await on(link->executor(), std::move(read));
  }
  std::string sandbox_problem() const override {
    std::string problem = link_->problem();
    return problem.empty() ? problem_at_start_ : problem;
  }

 private:
  std::shared_ptr<Link> link_;  // shared with its socket's handlers
  std::string problem_at_start_;
};

}  // namespace

std::unique_ptr<Spawner> connect_spawner(Loop& loop, HelperOptions options) {
  std::error_code error;
  std::filesystem::create_directories(options.data, error);
  options.data = std::filesystem::canonical(options.data, error);
  if (error) throw Error(Code::Unavailable, fmt::format("the data folder: {}", error.message()));
  return std::make_unique<HelperSpawner>(loop, std::move(options));
}

}  // namespace penstock::node
