// What the object store refuses, in S3's own words: the code that its XML carries, with its status.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace penstock::objects {

class S3Error : public Error {
 public:
  // `code` is one of S3's ("NoSuchKey"); its status is known. An empty message takes the code's usual one.
  explicit S3Error(std::string_view code, std::string message = {});
  const std::string& s3_code() const { return s3_code_; }
  int status() const { return status_; }
  // Elements beside Code and Message, and headers of the answer.
  S3Error& with(std::string element, std::string value) {
    elements_.emplace_back(std::move(element), std::move(value));
    return *this;
  }
  S3Error& header(std::string name, std::string value) {
    headers_.emplace_back(std::move(name), std::move(value));
    return *this;
  }
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  const Pairs& elements() const { return elements_; }
  const Pairs& headers() const { return headers_; }

 private:
  std::string s3_code_;
  int status_;
  Pairs elements_, headers_;
};

}  // namespace penstock::objects
