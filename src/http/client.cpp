#include "http/client.h"

#include <netdb.h>
#include <sys/socket.h>

#include <memory>
#include <mutex>

#include <curl/curl.h>

#include "base/error.h"

namespace penstock::http {

namespace {

struct Transfer {
  const ClientRequest* request;
  ClientResponse* response;
  std::string refused;  // an address that may not be connected to
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

size_t receive(char* data, size_t size, size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  const std::string_view piece(data, size * count);
  if (transfer.request->on_data) return transfer.request->on_data(piece) ? piece.size() : 0;
  transfer.response->body.append(piece);
  return piece.size();
}

}  // namespace

ClientResponse fetch(const ClientRequest& request) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  const std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_easy_init(), curl_easy_cleanup);
  std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers(nullptr, curl_slist_free_all);
  for (const auto& [name, value] : request.headers) {
    headers.reset(curl_slist_append(headers.release(), (name + ": " + value).c_str()));
  }
  headers.reset(curl_slist_append(headers.release(), "Expect:"));
  ClientResponse response;
  Transfer transfer{&request, &response, {}};
  curl_easy_setopt(curl.get(), CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, request.protocols.c_str());
  if (request.max_redirects > 0) {
    curl_easy_setopt(curl.get(), CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl.get(), CURLOPT_MAXREDIRS, static_cast<long>(request.max_redirects));
    curl_easy_setopt(curl.get(), CURLOPT_REDIR_PROTOCOLS_STR, request.protocols.c_str());
  }
  if (request.may_connect) {
    curl_easy_setopt(curl.get(), CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl.get(), CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl.get(), CURLOPT_OPENSOCKETDATA, &transfer);
  }
  curl_easy_setopt(curl.get(), CURLOPT_CUSTOMREQUEST, request.method.c_str());
  if (request.method == "HEAD") curl_easy_setopt(curl.get(), CURLOPT_NOBODY, 1L);
  if (!request.body.empty() || request.method == "POST" || request.method == "PUT" || request.method == "PATCH") {
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, request.body.data());
  }
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, receive);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &transfer);
  const CURLcode result = curl_easy_perform(curl.get());
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  response.status = static_cast<int>(status);
  if (result == CURLE_WRITE_ERROR && request.on_data) return response;
  if (result != CURLE_OK && !transfer.refused.empty()) {
    throw Error(Code::PermissionDenied,
                fmt::format("{}: no connection to {} may be made", request.url, transfer.refused));
  }
  if (result == CURLE_OPERATION_TIMEDOUT) {
    throw Error(Code::DeadlineExceeded,
                fmt::format("{}: no answer within {} ms", request.url, request.timeout.count()));
  }
  if (result == CURLE_URL_MALFORMAT || result == CURLE_UNSUPPORTED_PROTOCOL) {
    throw invalid("{}: {}", request.url, curl_easy_strerror(result));
  }
  if (result != CURLE_OK) {
    throw Error(Code::Unavailable, fmt::format("{}: {}", request.url, curl_easy_strerror(result)));
  }
  return response;
}

}  // namespace penstock::http
