#include "objects/remote/remote.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace penstock::objects {

http::ClientRequest remote_request(const RemoteOptions& options, std::string method, std::string url) {
  http::ClientRequest request;
  request.method = std::move(method);
  request.url = std::move(url);
  request.timeout = std::chrono::milliseconds(0);
  request.stall_timeout = options.stall_timeout;
  request.stopped = [stop = options.stop] { return stop->is_set(); };
  request.may_connect = options.may_connect;
  request.ca_file = options.ca_file;
  request.ca_pem = options.ca_pem;
  request.verify_tls = options.verify_tls;
  return request;
}

http::ClientResponse remote_fetch(const RemoteOptions& options, const http::ClientRequest& request) {
  options.stop->check();
  return http::fetch(request, options.may_connect ? nullptr : options.connections);
}

void RangeReader::attach(http::ClientRequest& request) {
  request.headers.emplace_back("Range", fmt::format("bytes={}-{}", offset, offset + length - 1));
  request.on_answer = [this](const http::ClientResponse& answer) {
    if (answer.status == 200) skip = offset;  // it knows no ranges
    return answer.status == 200 || answer.status == 206;
  };
  request.on_data = [this](std::string_view piece) { return take(piece); };
}

bool RangeReader::take(std::string_view piece) {
  const size_t passed = std::min<uint64_t>(skip, piece.size());
  skip -= passed;
  piece.remove_prefix(passed);
  piece = piece.substr(0, length - given);
  if (piece.empty()) return given < length;
  given += piece.size();
  enough = !sink(piece);
  return !enough && given < length;
}

void RangeReader::check(const std::string& name) const {
  if (!enough && given < length) {
    throw Error(Code::Unavailable, fmt::format("{}: it ended after {} of {} bytes", name, given, length));
  }
}

void upload_from(http::ClientRequest& request, int file, uint64_t offset, uint64_t length) {
  request.upload_size = length;
  request.upload = [file, offset, length](uint64_t at, char* buffer, size_t size) -> size_t {
    size = std::min<uint64_t>(size, length - std::min(at, length));
    while (size > 0) {
      const ssize_t got = ::pread(file, buffer, size, static_cast<off_t>(offset + at));
      if (got > 0) return static_cast<size_t>(got);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw_errno("reading what is to be sent");
      throw Error(Code::FailedPrecondition, "the file became shorter while it was sent");
    }
    return 0;
  };
}

Error remote_error(int status, std::string message) {
  const Code code = status == 404                    ? Code::NotFound
                    : status == 401                  ? Code::Unauthenticated
                    : status == 403                  ? Code::PermissionDenied
                    : status == 408 || status == 429 ? Code::ResourceExhausted
                    : status >= 500                  ? Code::Unavailable
                                                     : Code::FailedPrecondition;
  return Error(code, std::move(message));
}

}  // namespace penstock::objects
