// The one error type. A part that cannot do what a request or a task asks throws Error; each API face turns
// its code into the status and body of that API at its outermost edge, and nowhere else.
#pragma once

#include <exception>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace penstock {

// gRPC's canonical codes with their numbers.
enum class Code {
  Ok = 0,
  Cancelled = 1,
  Unknown = 2,
  InvalidArgument = 3,
  DeadlineExceeded = 4,
  NotFound = 5,
  AlreadyExists = 6,
  PermissionDenied = 7,
  ResourceExhausted = 8,
  FailedPrecondition = 9,
  Aborted = 10,
  OutOfRange = 11,
  Unimplemented = 12,
  Internal = 13,
  Unavailable = 14,
  DataLoss = 15,
  Unauthenticated = 16,
};

std::string_view code_name(Code code);  // "NOT_FOUND"
int http_status(Code code);             // as grpc-gateway maps it: 404 for NotFound

class Error : public std::exception {
 public:
  // `field` is the path of the offending input ("root.dag.tasks.train.inputs"), empty when there is none.
  Error(Code code, std::string message, std::string field = {});

  Code code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::string& field() const { return field_; }
  const char* what() const noexcept override { return what_.c_str(); }  // "NOT_FOUND: message"

 private:
  Code code_;
  std::string message_;
  std::string field_;
  std::string what_;
};

template <class... Args>
Error invalid(fmt::format_string<Args...> format, Args&&... args) {
  return Error(Code::InvalidArgument, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
Error not_found(fmt::format_string<Args...> format, Args&&... args) {
  return Error(Code::NotFound, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
Error internal(fmt::format_string<Args...> format, Args&&... args) {
  return Error(Code::Internal, fmt::format(format, std::forward<Args>(args)...));
}

// Throws Internal with `what` and errno's text.
[[noreturn]] void throw_errno(std::string_view what);

// A broken invariant of our own: prints where, and aborts, in release builds too.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
#define CHECK_INVARIANT(condition) ((condition) ? (void)0 : ::penstock::check_failed(#condition, __FILE__, __LINE__))

}  // namespace penstock
