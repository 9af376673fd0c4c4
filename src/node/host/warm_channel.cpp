#include "node/host/warm_channel.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

namespace penstock::node {

namespace {

constexpr size_t kMaxFiles = 32;
constexpr size_t kMaxMessage = 64 << 10;
// Below it are files that a program is started with.
constexpr int kFirstFile = 10;

int moved_up(int file) {
  int moved = fcntl(file, F_DUPFD_CLOEXEC, kFirstFile);
  close(file);
  return moved;
}

void take_control(const msghdr& header, WarmMessage& message) {
  msghdr& plain = const_cast<msghdr&>(header);
  for (cmsghdr* part = CMSG_FIRSTHDR(&plain); part != nullptr; part = CMSG_NXTHDR(&plain, part)) {
    if (part->cmsg_level != SOL_SOCKET) continue;
    if (part->cmsg_type == SCM_RIGHTS) {
      size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < count; ++i) {
        int file;
        std::memcpy(&file, CMSG_DATA(part) + i * sizeof(int), sizeof file);
        message.files.push_back(file);
      }
    } else if (part->cmsg_type == SCM_CREDENTIALS) {
      ucred sender;
      std::memcpy(&sender, CMSG_DATA(part), sizeof sender);
      message.pid = sender.pid;
    }
  }
}

}  // namespace

WarmEnds make_warm_channel() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return {};
  WarmEnds made{moved_up(ends[0]), moved_up(ends[1])};
  int on = 1;
  if (made.own < 0 || made.other < 0 || fcntl(made.own, F_SETFL, O_NONBLOCK) != 0 ||
      setsockopt(made.own, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
    close(made.own);
    close(made.other);
    return {};
  }
  return made;
}

bool send_warm(int channel, const std::string& fields, const std::vector<int>& files) {
  if (files.size() > kMaxFiles) return false;
  iovec bytes = {const_cast<char*>(fields.data()), fields.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxFiles * sizeof(int))];
  msghdr header = {};
  header.msg_iov = &bytes;
  header.msg_iovlen = 1;
  if (!files.empty()) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(files.size() * sizeof(int));
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(files.size() * sizeof(int));
    std::memcpy(CMSG_DATA(part), files.data(), files.size() * sizeof(int));
  }
  return sendmsg(channel, &header, MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(fields.size());
}

WarmMessage receive_warm(int channel) {
  static char buffer[kMaxMessage];
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxFiles * sizeof(int)) + CMSG_SPACE(sizeof(ucred))];
  iovec bytes = {buffer, sizeof buffer};
  msghdr header = {};
  header.msg_iov = &bytes;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t size = recvmsg(channel, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  WarmMessage message;
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return message;
  message.any = size > 0;
  message.gone = size <= 0;
  if (size <= 0) return message;
  take_control(header, message);
  std::string_view rest(buffer, static_cast<size_t>(size));
  for (size_t at = 0; at <= rest.size();) {
    size_t end = std::min(rest.find('\0', at), rest.size());
    message.fields.emplace_back(rest.substr(at, end - at));
    at = end + 1;
  }
  return message;
}

int file_of(const std::string& fields) {
  int file = memfd_create("task", MFD_CLOEXEC);
  if (file < 0) return -1;
  size_t done = 0;
  while (done < fields.size()) {
    ssize_t size = pwrite(file, fields.data() + done, fields.size() - done, static_cast<off_t>(done));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) {
      close(file);
      return -1;
    }
    done += static_cast<size_t>(size);
  }
  return file;
}

}  // namespace penstock::node
