// The S3 face: requests in, answers out, over the engine. What is understood and what is not stands in docs/s3.md.
//
// handle() may be called on any loop. Its handlers are in the sources beside this one, by what they are about.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/router.h"
#include "objects/s3/acl.h"
#include "objects/s3/call.h"
#include "objects/s3/conditions.h"

namespace penstock::objects {

class S3Service {
 public:
  struct Options {
    std::string prefix;                // of paths under a shared address ("/s3"), else empty
    std::vector<std::string> domains;  // of host names BUCKET.DOMAIN
    std::string region = "us-east-1";
    bool tls = false;
  };
  // All must outlive it.
  S3Service(Engine& engine, const Keys& keys, Vault& vault, Options options);

  // Never throws but for a client that went away.
  Async<http::Response> handle(http::Request& request);
  // Does what `request` asks, by its method, query and headers, of that bucket and key, with the rights of the bucket's
  // owner, or of the root key where there is no such bucket: for callers that somebody else let in. Its path does not
  // count. Throws, S3Error among others, instead of answering with an error.
  Async<http::Response> handle_for_owner(http::Request& request, std::string bucket, std::string key);
  // Every method and path under the prefix.
  void add_routes(http::Router& router);

 private:
  using Handler = Async<http::Response> (S3Service::*)(Call&);
  struct Route {
    std::string_view query;  // that the request must have; empty: any
    Handler handler;
  };

  // --- the way in (service.cpp) ---
  Async<http::Response> serve(Call& call);
  void read_address(Call& call) const;
  void authenticate(Call& call) const;
  Handler find_handler(const Call& call) const;
  http::Response error_response(const Call& call, const S3Error& error) const;

  // --- who may (access.cpp) ---
  struct Ask {
    std::string_view action;                   // "s3:GetObject"
    std::string_view permission;               // "READ", "WRITE", …; empty: the bucket's owner alone
    const json::object* object_acl = nullptr;  // instead of the bucket's
    const json::object* tags = nullptr;        // of the object that exists
    std::string key;                           // empty: about the bucket
    std::string version;
    std::map<std::string, std::vector<std::string>, std::less<>> context;
    bool write = false;  // for scopes of keys
    bool probe = false;  // whether the bucket is there: for every key that reaches something in it
  };
  void require(const Call& call, const Bucket& bucket, const Ask& ask) const;
  // The request's bucket, once it is sure that this may be done in it. NoSuchBucket, AccessDenied.
  BucketPtr bucket_for(const Call& call, const Ask& ask) const;
  bool allowed(const Call& call, const Bucket& bucket, const Ask& ask) const;
  // As require(), and AccessDenied turned into what a missing object says to whoever may list.
  void require_read(const Call& call, const Bucket& bucket, const Object* object, Ask ask) const;
  PolicyRequest policy_request(const Call& call, const Bucket& bucket, const Ask& ask) const;
  void check_new_acl(const Bucket& bucket, const json::object& acl) const;
  json::object acl_for_new_object(const Call& call, const Bucket& bucket) const;

  // --- service and buckets (bucket_ops.cpp) ---
  Async<http::Response> list_buckets(Call& call);
  Async<http::Response> create_bucket(Call& call);
  Async<http::Response> delete_bucket(Call& call);
  Async<http::Response> head_bucket(Call& call);
  Async<http::Response> get_location(Call& call);
  Async<http::Response> get_versioning(Call& call);
  Async<http::Response> put_versioning(Call& call);

  // --- buckets' configurations (bucket_config.cpp) ---
  Async<http::Response> get_config(Call& call);
  Async<http::Response> put_config(Call& call);
  Async<http::Response> delete_config(Call& call);
  Async<http::Response> get_policy_status(Call& call);
  Async<http::Response> get_bucket_acl(Call& call);
  Async<http::Response> put_bucket_acl(Call& call);

  // --- lists (list_ops.cpp) ---
  Async<http::Response> list_objects(Call& call);
  Async<http::Response> list_objects_v2(Call& call);
  Async<http::Response> list_versions(Call& call);
  Async<http::Response> list_uploads(Call& call);

  // --- objects ---
  Async<http::Response> get_object(Call& call);
  Async<http::Response> get_attributes(Call& call);
  Async<http::Response> put_object(Call& call);
  Async<http::Response> copy_object(Call& call);
  Async<http::Response> delete_object(Call& call);
  Async<http::Response> delete_objects(Call& call);
  Async<http::Response> post_object(Call& call);
  // An object that somebody asks for something beside its bytes. The action's name is another one when the request
  // names a version.
  struct Action {
    std::string_view plain, versioned;
    std::string_view permission;
    bool write = false;
  };
  Ask ask_of(const Call& call, const Action& action) const;
  struct Readable {
    BucketPtr bucket;
    Object object;
  };
  Async<Readable> readable(Call& call, Action action);
  Async<http::Response> change_object(Call& call, BucketPtr bucket, std::function<void(Object&)> change,
                                      int status = 200);
  BucketPtr lock_bucket(const Call& call, std::string_view action, bool write) const;
  Async<http::Response> get_object_acl(Call& call);
  Async<http::Response> put_object_acl(Call& call);
  Async<http::Response> get_object_tags(Call& call);
  Async<http::Response> put_object_tags(Call& call);
  Async<http::Response> delete_object_tags(Call& call);
  Async<http::Response> get_retention(Call& call);
  Async<http::Response> put_retention(Call& call);
  Async<http::Response> get_hold(Call& call);
  Async<http::Response> put_hold(Call& call);

  // --- multipart uploads (multipart_ops.cpp) ---
  Async<http::Response> create_upload(Call& call);
  Async<http::Response> put_part(Call& call);
  Async<http::Response> copy_part(Call& call);
  // As the upload was begun; the part's nonce is noted in it.
  std::optional<StreamCipher> seal_part(const Call& call, const UploadInfo& upload, Part& part) const;
  Async<http::Response> list_parts(Call& call);
  Async<http::Response> complete_upload(Call& call);
  Async<http::Response> abort_upload(Call& call);

  Async<http::Response> preflight(Call& call);
  Async<http::Response> get_torrent(Call& call);
  Async<http::Response> not_implemented(Call& call);

  // --- shared by them ---
  struct Source {
    BucketPtr bucket;
    Object object;
    std::string version;  // that the answer names
    std::string key;      // of what is sealed
  };
  Async<Source> copy_source(Call& call);
  // Bytes of a source as a content of its own, whose digest goes into `digests`.
  Async<Staged> stage_copy(const Source& source, Range range, BodyDigests& digests, std::optional<StreamCipher> cipher);
  // Shares the source's content where it can; `object` is told its ETag and checksum.
  Async<Written> copy_content(const BucketPtr& bucket, NewObject& object, const Source& source,
                              std::optional<StreamCipher> cipher);
  // Headers, user metadata, tags, ACL and locks that a request gives a new object.
  json::object new_meta(const Call& call, const Bucket& bucket) const;
  Check write_conditions(const Call& call) const;
  Check delete_check(const Call& call, const Bucket& bucket, bool versioned, bool bypass_allowed) const;
  void add_object_headers(http::Response& response, const Bucket& bucket, const Object& object) const;
  // The key that opens the object, with what the request brings; empty for one that is not sealed.
  std::string object_key(const Call& call, const Object& object) const;
  // Seals a new object's content, if that is wanted, and notes in `meta` how.
  std::optional<StreamCipher> seal(const Call& call, const Bucket& bucket, json::object& meta) const;
  Async<> add_body(http::Response& response, const Bucket& bucket, const Object& object, const std::vector<Part>& parts,
                   Range range, const std::string& object_key);
  void add_cors(http::Response& response, const Call& call) const;
  std::optional<std::string> expiration_of(const Bucket& bucket, const Object& object) const;

  Engine& engine_;
  const Keys& keys_;
  Vault& vault_;
  Options options_;
};

}  // namespace penstock::objects
