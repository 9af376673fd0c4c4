#include "http/client.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <mutex>

#include <curl/curl.h>

#include "base/error.h"
#include "http/url.h"

namespace penstock::http {

namespace {

using Curl = std::unique_ptr<CURL, void (*)(CURL*)>;
constexpr size_t kKept = 32;  // connections' handles

struct Transfer {
  const ClientRequest* request;
  ClientResponse* response;
  std::string refused{};  // an address that may not be connected to
  bool answered = false;  // on_answer was asked
  bool keep = false;      // the body is kept
  uint64_t sent = 0;
  std::exception_ptr failure{};  // of a callback
};

curl_socket_t open_socket(void* context, curlsocktype, curl_sockaddr* address) {
  auto& transfer = *static_cast<Transfer*>(context);
  char text[NI_MAXHOST] = {};
  ::getnameinfo(&address->addr, address->addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
  if (!transfer.request->may_connect(text)) {
    transfer.refused = text;
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// libcurl is C: an exception must not pass through it.
template <class Work>
auto guarded(Transfer& transfer, std::invoke_result_t<Work> otherwise, Work work) -> std::invoke_result_t<Work> {
  try {
    return work();
  } catch (...) {
    transfer.failure = std::current_exception();
    return otherwise;
  }
}

bool hand_over(Transfer& transfer, std::string_view piece) {
  const ClientRequest& request = *transfer.request;
  if (request.on_answer && !std::exchange(transfer.answered, true)) {
    transfer.keep = !request.on_answer(*transfer.response);
  }
  if (transfer.keep) {
    std::string& body = transfer.response->body;
    body.append(piece.substr(0, kErrorBody - std::min(kErrorBody, body.size())));
    return true;
  }
  if (request.on_data) return request.on_data(piece);
  transfer.response->body.append(piece);
  return true;
}

size_t receive(char* data, size_t size, size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  const std::string_view piece(data, size * count);
  return guarded(transfer, size_t{0}, [&] { return hand_over(transfer, piece) ? piece.size() : 0; });
}

size_t receive_header(char* data, size_t size, size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  const std::string_view line(data, size * count);
  return guarded(transfer, size_t{0}, [&] {
    auto& response = *transfer.response;
    if (line.starts_with("HTTP/")) {  // of each answer on the way
      response.headers.clear();
      const size_t space = line.find(' ');
      response.status = space == std::string_view::npos ? 0 : std::atoi(std::string(line.substr(space + 1)).c_str());
    }
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return line.size();
    std::string name(line.substr(0, colon));
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && std::isspace(static_cast<unsigned char>(value.front()))) value.remove_prefix(1);
    while (!value.empty() && std::isspace(static_cast<unsigned char>(value.back()))) value.remove_suffix(1);
    response.headers.insert_or_assign(std::move(name), std::string(value));
    return line.size();
  });
}

size_t send(char* buffer, size_t size, size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  return guarded(transfer, size_t{CURL_READFUNC_ABORT}, [&] {
    const size_t got = transfer.request->upload(transfer.sent, buffer, size * count);
    transfer.sent += got;
    return got;
  });
}

// A connection that was kept may turn out closed: then the body is sent again from its start.
int rewind_body(void* context, curl_off_t offset, int origin) {
  if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  static_cast<Transfer*>(context)->sent = static_cast<uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

int progress(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<Transfer*>(context);
  return guarded(transfer, 1, [&] { return transfer.request->stopped() ? 1 : 0; });
}

void set_body(CURL* curl, const ClientRequest& request, Transfer& transfer) {
  if (request.upload) {
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, send);
    curl_easy_setopt(curl, CURLOPT_READDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, rewind_body);
    curl_easy_setopt(curl, CURLOPT_SEEKDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.upload_size));
  } else if (!request.body.empty() || request.method == "POST" || request.method == "PUT" ||
             request.method == "PATCH") {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.data());
  }
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  if (request.method == "HEAD") curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
}

void set_limits(CURL* curl, const ClientRequest& request, Transfer& transfer) {
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
  if (request.stall_timeout.count() > 0) {
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.stall_timeout.count()));
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, static_cast<long>(request.stall_timeout.count()));
  }
  if (request.stopped) {
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  }
}

void set_connection(CURL* curl, const ClientRequest& request, Transfer& transfer) {
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, request.protocols.c_str());
  // A key is sent as it is, "." and ".." in it too.
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  if (request.max_redirects > 0) {
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, static_cast<long>(request.max_redirects));
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, request.protocols.c_str());
  }
  if (request.may_connect) {
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, &transfer);
  }
  if (!request.ca_file.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, request.ca_file.c_str());
  if (!request.ca_pem.empty()) {
    curl_blob blob{const_cast<char*>(request.ca_pem.data()), request.ca_pem.size(), CURL_BLOB_COPY};
    curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob);
  }
  if (!request.verify_tls) {
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
  }
}

void check(CURLcode result, const ClientRequest& request, const Transfer& transfer) {
  if (transfer.failure) std::rethrow_exception(transfer.failure);
  const std::string url = redacted(request.url);
  switch (result) {
    case CURLE_OK: return;
    case CURLE_ABORTED_BY_CALLBACK: throw Error(Code::Cancelled, fmt::format("{}: stopped", url));
    case CURLE_OPERATION_TIMEDOUT:
      throw Error(Code::DeadlineExceeded,
                  request.stall_timeout.count() > 0
                      ? fmt::format("{}: nothing came or went for {} s", url, request.stall_timeout.count())
                      : fmt::format("{}: no answer within {} ms", url, request.timeout.count()));
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: throw invalid("{}: {}", url, curl_easy_strerror(result));
    default: break;
  }
  if (!transfer.refused.empty()) {
    throw Error(Code::PermissionDenied, fmt::format("{}: no connection to {} may be made", url, transfer.refused));
  }
  throw Error(Code::Unavailable, fmt::format("{}: {}", url, curl_easy_strerror(result)));
}

Curl make_handle() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  return {curl_easy_init(), curl_easy_cleanup};
}

}  // namespace

std::string_view ClientResponse::header(std::string_view name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

struct ClientPool::State {
  std::mutex mutex;
  std::vector<Curl> idle;

  Curl take() {
    const std::lock_guard lock(mutex);
    if (idle.empty()) return make_handle();
    Curl curl = std::move(idle.back());
    idle.pop_back();
    return curl;
  }
  void give(Curl curl) {
    curl_easy_reset(curl.get());
    const std::lock_guard lock(mutex);
    if (idle.size() < kKept) idle.push_back(std::move(curl));
  }
};

ClientPool::ClientPool() : state_(std::make_unique<State>()) {}
ClientPool::~ClientPool() = default;

ClientResponse fetch(const ClientRequest& request, ClientPool* pool) {
  Curl curl = pool != nullptr ? pool->state_->take() : make_handle();
  std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers(nullptr, curl_slist_free_all);
  for (const auto& [name, value] : request.headers) {
    // "Name;" is how libcurl is told of an empty value.
    const std::string line = value.empty() ? name + ";" : name + ": " + value;
    headers.reset(curl_slist_append(headers.release(), line.c_str()));
  }
  headers.reset(curl_slist_append(headers.release(), "Expect:"));
  ClientResponse response;
  Transfer transfer{&request, &response};
  set_connection(curl.get(), request, transfer);
  set_body(curl.get(), request, transfer);
  set_limits(curl.get(), request, transfer);
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, receive);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl.get(), CURLOPT_HEADERFUNCTION, receive_header);
  curl_easy_setopt(curl.get(), CURLOPT_HEADERDATA, &transfer);
  const CURLcode result = curl_easy_perform(curl.get());
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  response.status = static_cast<int>(status);
  const bool ended_by_us = result == CURLE_WRITE_ERROR && request.on_data && !transfer.failure;
  if (pool != nullptr) pool->state_->give(std::move(curl));
  if (!ended_by_us) check(result, request, transfer);
  return response;
}

}  // namespace penstock::http
