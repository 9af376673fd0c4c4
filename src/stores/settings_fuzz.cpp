// URIs of stores with the settings in them, providers as YAML, references of images and logins of registries.
#include "base/fuzz.h"
#include "objects/remote/oci_image.h"
#include "stores/settings.h"

using namespace penstock;
using namespace penstock::stores;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = fuzz::text(data, size);
  fuzz::taken([&] {
    const StoreUri uri = parse_store_uri(text);
    if (!uri.query.empty()) access_of_query(uri.query);
    query_for(text, "s3://bucket/root?region=x");
  });
  without_query(text);
  is_own_endpoint(text);
  fuzz::taken([&] {
    const auto documents = parse_yaml(text, 1'000);
    if (!documents.empty()) find_access(documents[0], {"s3", "bucket", "a/b", ""});
  });
  fuzz::taken([&] {
    const auto reference = objects::parse_oci_reference(text);
    CHECK_INVARIANT(reference.repository.find("..") == std::string::npos);
  });
  objects::find_login(text, "registry.example");
  return 0;
}
