// Buckets and objects for the dashboard, which has no keys of S3 and is given none: Penstock's own endpoints below
// /apis/penstock/v1/buckets. What they change goes through the S3 face, with the rights of the bucket's owner, so that
// versions, locks, policies and limits are those of every other client.
//
// Keys are in the query, never in the path, where browsers would resolve "..".
#pragma once

#include <string_view>

#include "base/schema.h"
#include "http/router.h"
#include "objects/s3/service.h"

namespace penstock::pipelines {

inline constexpr std::string_view kBucketsPath = "/apis/penstock/v1/buckets";

// Must outlive the router.
struct BucketContext {
  objects::Engine& engine;
  objects::S3Service& s3;
};

void add_bucket_routes(http::Router& router, const BucketContext& context);
void add_bucket_schemas(Schemas& schemas);

}  // namespace penstock::pipelines
