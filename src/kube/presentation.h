// In which form a client wants objects: whole, as rows of a Table (kubectl), or their metadata only.
#pragma once

#include "http/message.h"
#include "kube/kinds.h"

namespace penstock::kube {

class Presentation {
 public:
  // From the Accept header and ?includeObject. Throws NotAcceptable (406) when it wants none of what there is.
  Presentation(const http::Request& request, const Kind& kind, const Clock& clock);

  std::string object_text(const json::object& object) const;
  std::string list_text(const List& list) const;
  // One line of a watch stream, with its newline.
  std::string event_text(const WatchEvent& event) const;

 private:
  enum class Form { Whole, Table, Metadata };

  json::object table(std::span<const Object> objects, json::object metadata, bool definitions) const;
  json::array definitions() const;
  json::object row(const json::object& object) const;
  json::object metadata_only(const json::object& object) const;

  const Kind& kind_;
  const Clock& clock_;
  Form form_ = Form::Whole;
  std::string version_ = "v1";               // of meta.k8s.io, for the forms other than Whole
  std::string include_object_ = "Metadata";  // what comes with a row
};

std::string_view event_name(EventType type);  // "ADDED"

}  // namespace penstock::kube
