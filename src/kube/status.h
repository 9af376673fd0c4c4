// Errors as Kubernetes reports them: a Status object with a reason, and for rejected objects a cause for each field.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "kube/api.h"

namespace penstock::kube {

struct Cause {
  std::string reason;   // "FieldValueRequired"
  std::string message;  // "Required value"
  std::string field;    // "spec.containers[0].name"
};

// What the object is that an error speaks of; `kind` is the plural, for a rejected object its Kind.
struct StatusDetails {
  std::string name;
  std::string group;
  std::string kind;
  std::string uid;
  std::vector<Cause> causes;
};

// An Error that knows Kubernetes' reason and HTTP status. Every Api implementation throws these.
class StatusError : public Error {
 public:
  StatusError(Code code, int http, std::string reason, std::string message, StatusDetails details = {})
      : Error(code, std::move(message), details.causes.empty() ? std::string() : details.causes.front().field),
        http_(http),
        reason_(std::move(reason)),
        details_(std::move(details)) {}

  int http() const { return http_; }
  const std::string& reason() const { return reason_; }
  const StatusDetails& details() const { return details_; }

 private:
  int http_;
  std::string reason_;
  StatusDetails details_;
};

StatusError no_such_object(const Resource& resource, std::string_view name);
StatusError object_exists(const Resource& resource, std::string_view name);
StatusError conflict(const Resource& resource, std::string_view name, std::string_view why);
StatusError forbidden(const Resource& resource, std::string_view name, std::string_view why);
StatusError bad_request(std::string message);
StatusError expired(std::string message);  // 410: list again
StatusError method_not_allowed(std::string_view what);
StatusError unsupported_media_type(std::string message);
StatusError invalid_object(const Resource& resource, std::string_view name, std::vector<Cause> causes);

// The Status object for any error, and the HTTP status to send it with.
json::object to_status(const Error& error);
int status_code(const Error& error);

}  // namespace penstock::kube
