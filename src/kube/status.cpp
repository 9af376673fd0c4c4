#include "kube/status.h"

namespace penstock::kube {

namespace {

StatusDetails details_of(const Resource& resource, std::string_view name) {
  return {.name = std::string(name), .group = resource.group, .kind = resource.plural};
}

// "pods", or "experiments.kubeflow.org" outside the core group.
std::string qualified(const Resource& resource) {
  return resource.group.empty() ? resource.plural : resource.plural + "." + resource.group;
}

std::string_view reason_of(Code code) {
  switch (code) {
    case Code::NotFound: return "NotFound";
    case Code::AlreadyExists: return "AlreadyExists";
    case Code::Aborted: return "Conflict";
    case Code::InvalidArgument:
    case Code::FailedPrecondition: return "BadRequest";
    case Code::OutOfRange: return "Expired";
    case Code::PermissionDenied: return "Forbidden";
    case Code::Unauthenticated: return "Unauthorized";
    case Code::ResourceExhausted: return "TooManyRequests";
    case Code::DeadlineExceeded: return "Timeout";
    case Code::Unavailable: return "ServiceUnavailable";
    case Code::Unimplemented: return "MethodNotAllowed";
    default: return "InternalError";
  }
}

}  // namespace

StatusError no_such_object(const Resource& resource, std::string_view name) {
  return StatusError(Code::NotFound, 404, "NotFound", fmt::format("{} \"{}\" not found", qualified(resource), name),
                     details_of(resource, name));
}

StatusError object_exists(const Resource& resource, std::string_view name) {
  return StatusError(Code::AlreadyExists, 409, "AlreadyExists",
                     fmt::format("{} \"{}\" already exists", qualified(resource), name), details_of(resource, name));
}

StatusError conflict(const Resource& resource, std::string_view name, std::string_view why) {
  return StatusError(Code::Aborted, 409, "Conflict",
                     fmt::format("{} \"{}\" cannot be changed: {}", qualified(resource), name, why),
                     details_of(resource, name));
}

StatusError forbidden(const Resource& resource, std::string_view name, std::string_view why) {
  return StatusError(Code::PermissionDenied, 403, "Forbidden",
                     fmt::format("{} \"{}\" is forbidden: {}", qualified(resource), name, why),
                     details_of(resource, name));
}

StatusError bad_request(std::string message) {
  return StatusError(Code::InvalidArgument, 400, "BadRequest", std::move(message));
}

StatusError expired(std::string message) { return StatusError(Code::OutOfRange, 410, "Expired", std::move(message)); }

StatusError method_not_allowed(std::string_view what) {
  return StatusError(Code::Unimplemented, 405, "MethodNotAllowed",
                     fmt::format("the server does not allow this method on {}", what));
}

StatusError unsupported_media_type(std::string message) {
  return StatusError(Code::InvalidArgument, 415, "UnsupportedMediaType", std::move(message));
}

StatusError invalid_object(const Resource& resource, std::string_view name, std::vector<Cause> causes) {
  std::string text;
  for (const auto& cause : causes) {
    if (!text.empty()) text += ", ";
    text += cause.field.empty() ? cause.message : cause.field + ": " + cause.message;
  }
  if (causes.size() > 1) text = "[" + text + "]";
  StatusDetails details{
      .name = std::string(name), .group = resource.group, .kind = resource.kind, .causes = std::move(causes)};
  return StatusError(Code::InvalidArgument, 422, "Invalid",
                     fmt::format("{} \"{}\" is invalid: {}", resource.kind, name, text), std::move(details));
}

int status_code(const Error& error) {
  if (const auto* status = dynamic_cast<const StatusError*>(&error)) return status->http();
  return error.code() == Code::OutOfRange ? 410 : http_status(error.code());
}

json::object to_status(const Error& error) {
  const auto* known = dynamic_cast<const StatusError*>(&error);
  json::object status{
      {"kind", "Status"},           {"apiVersion", "v1"},
      {"metadata", json::object()}, {"status", "Failure"},
      {"message", error.message()}, {"reason", known ? std::string_view(known->reason()) : reason_of(error.code())}};
  json::object details;
  if (known != nullptr) {
    const auto& from = known->details();
    if (!from.name.empty()) details["name"] = from.name;
    if (!from.group.empty()) details["group"] = from.group;
    if (!from.kind.empty()) details["kind"] = from.kind;
    if (!from.uid.empty()) details["uid"] = from.uid;
    json::array causes;
    for (const auto& cause : from.causes) {
      json::object item{{"reason", cause.reason}, {"message", cause.message}};
      if (!cause.field.empty()) item["field"] = cause.field;
      causes.push_back(std::move(item));
    }
    if (!causes.empty()) details["causes"] = std::move(causes);
  } else if (!error.field().empty()) {
    details["causes"] = json::array{json::object{{"message", error.message()}, {"field", error.field()}}};
  }
  if (!details.empty()) status["details"] = std::move(details);
  status["code"] = status_code(error);
  return status;
}

}  // namespace penstock::kube
