// libFuzzer target: the parts of any request are read, put into their canonical form and checked, or refused.
#include "objects/s3/signature.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace penstock;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto take = [&] {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string line(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return line;
  };
  http::Request request;
  request.target = take();
  request.path = request.target.substr(0, request.target.find('?'));
  if (const size_t mark = request.target.find('?'); mark != std::string::npos) {
    request.query = http::parse_query(std::string_view(request.target).substr(mark + 1));
  }
  while (!rest.empty()) {
    const std::string line = take();
    const size_t colon = std::min(line.find(':'), line.size());
    request.headers.emplace_back(line.substr(0, colon), line.substr(std::min(colon + 1, line.size())));
  }
  try {
    const auto authorization = objects::read_authorization(request);
    if (authorization.kind != objects::AuthKind::None) {
      objects::check_signature(request, authorization, "secret", "", penstock::from_micros(1'700'000'000'000'000));
    }
  } catch (const objects::S3Error&) {
    // Refused.
  }
  return 0;
}
