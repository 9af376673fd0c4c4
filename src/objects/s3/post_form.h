// Uploads by HTML forms: multipart/form-data, read as it comes, and the policy that signs it. Pure.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/json.h"

namespace penstock::objects {

// Reads a form: fields first, the file last. What follows the file is passed over.
class FormReader {
 public:
  // Of the header "multipart/form-data; boundary=…". MalformedPOSTRequest.
  explicit FormReader(std::string_view content_type);

  // Bytes of the file go to `sink`. Throws MalformedPOSTRequest, or MaxMessageLengthExceeded when the fields
  // before the file have more than 64 KiB.
  void feed(std::string_view bytes, const std::function<void(std::string_view)>& sink);
  void finish() const;  // IncompleteBody
  bool in_file() const { return state_ == State::File || state_ == State::Done; }
  // By name in lower case; the first of each.
  const std::map<std::string, std::string, std::less<>>& fields() const { return fields_; }
  const std::string& file_name() const { return file_name_; }

 private:
  enum class State { Start, Head, Field, File, Done };
  void read_head(std::string_view head);
  std::string boundary_;  // with the line break and the dashes before it
  State state_ = State::Start;
  std::string buffer_;
  std::string name_;
  std::string file_name_;
  size_t fields_size_ = 0;
  std::map<std::string, std::string, std::less<>> fields_;
};

struct FormPolicy {
  std::optional<uint64_t> least, most;  // content-length-range
};

// Checks the fields of a form against its policy document. `bucket` counts as a field. AccessDenied,
// InvalidPolicyDocument.
FormPolicy check_form_policy(std::string_view document, const std::map<std::string, std::string, std::less<>>& fields,
                             std::string_view bucket, Time now);

}  // namespace penstock::objects
