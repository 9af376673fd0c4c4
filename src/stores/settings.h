// How an outside store is reached, as the ConfigMap kfp-launcher says it (`providers`), the file of the server's option
// --stores, or the query of a URI. Pure.
//
//   s3: {default: {endpoint, region, disableSSL, forcePathStyle, maxRetries, credentials}, overrides: [{bucketName,
//        keyPrefix, …}]}
//   gs: {default: {credentials}, overrides: […]}, minio: as s3
//   credentials: {fromEnv: true} or {secretRef: {secretName, accessKeyKey, secretKeyKey, tokenKey}}
//
// Ours: sessionTokenKey in a secretRef, an endpoint for gs, HMAC keys for gs (accessKeyKey and secretKeyKey),
// verifySSL and caBundle; in the server's file credentials may hold accessKey, secretKey, sessionToken and tokenFile.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace penstock::stores {

// "s3://bucket/a/b?endpoint=…".
struct StoreUri {
  std::string scheme;
  std::string bucket;  // of http(s) the host and port, of file empty
  std::string key;     // without a leading slash
  std::string query;
};

// Throws InvalidArgument for a text without a scheme, of a scheme that no store has, or without a bucket. Of gs, s3 and
// minio only those parts of the query are split off which are settings.
StoreUri parse_store_uri(std::string_view uri);
// Whether a pipeline root may be there: nothing can be put to a web server or a registry.
bool is_writable_scheme(std::string_view scheme);
// The pipeline root without its settings: what artifacts' URIs begin with.
std::string without_query(std::string_view root);
// The query of `root` if `uri` is of it or below it, or the URI's own.
std::string query_for(std::string_view uri, std::string_view root);

struct Access {
  std::string endpoint;  // "https://host:port"; empty: the service's own
  std::string region;
  bool path_style = true;
  int retries = 5;
  bool verify_tls = true;
  std::string ca_pem;

  bool from_env = true;
  bool anonymous = false;
  std::string secret;  // its name; with these keys in it:
  std::string access_key_key, secret_key_key, session_token_key, token_key;
  // Of the server's file: as they are.
  std::string access_key, secret_key, session_token, token_file;
};

// What `providers` says of a bucket and key; empty when it says nothing of the scheme. The first override whose bucket
// and prefix match goes over the default, as upstream's launcher does it. Throws InvalidArgument for settings that are
// wrong.
std::optional<Access> find_access(const json::value& providers, const StoreUri& uri);

// What a query says: endpoint, region, disableSSL, s3ForcePathStyle, use_path_style, anonymous. Throws InvalidArgument
// for another one.
Access access_of_query(std::string_view query);

// Is it how a Kubeflow installation calls the store inside of it, which this program is?
bool is_own_endpoint(std::string_view endpoint);

}  // namespace penstock::stores
