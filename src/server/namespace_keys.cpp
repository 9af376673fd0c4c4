#include "server/namespace_keys.h"

#include "base/base64.h"
#include "base/error.h"

namespace penstock::server {

namespace {

constexpr std::string_view kSecret = "mlpipeline-minio-artifact";

json::object new_secret(const std::string& ns) {
  const auto [access_key, secret] = objects::make_key_pair();
  return {{"apiVersion", "v1"},
          {"kind", "Secret"},
          {"metadata", {{"name", kSecret}, {"namespace", ns}}},
          {"type", "Opaque"},
          {"data", {{"accesskey", base64_encode(access_key)}, {"secretkey", base64_encode(secret)}}}};
}

std::string decoded(const json::object& secret, std::string_view name) {
  const json::object* data = find_object(secret, "data");
  return data != nullptr ? base64_decode(get_string(*data, name)).value_or("") : std::string();
}

}  // namespace

NamespaceKeys::NamespaceKeys(Executor executor, kube::Api& api, objects::Keys& keys)
    : api_(api),
      keys_(keys),
      controller_(executor, api, "namespace-keys", [this](std::string ns) { return reconcile(std::move(ns)); }),
      namespaces_(controller_.watch(kube::kNamespaces)) {
  kube::ListQuery of_that_name;
  of_that_name.field_selector = fmt::format("metadata.name={}", kSecret);
  const auto its_namespace = [](const json::object& secret) { return std::string(kube::namespace_of(secret)); };
  controller_.watch(kube::kSecrets, its_namespace, of_that_name);
}

// The one that is there, or a new one.
Async<kube::Object> NamespaceKeys::secret_of(std::string ns) {
  const std::string name(kSecret);
  try {
    co_return co_await api_.get(kube::kSecrets, ns, name);
  } catch (const Error& error) {
    if (error.code() != Code::NotFound) throw;
  }
  json::object secret = new_secret(ns);
  co_return co_await api_.create(kube::kSecrets, std::move(secret));
}

Async<kube::Controller::Again> NamespaceKeys::reconcile(std::string ns) {
  const kube::Object found = namespaces_.get(ns);
  if (!found || kube::is_deleting(*found)) {
    keys_.remove_namespace_key(ns);
    co_return std::nullopt;
  }
  const kube::Object secret = co_await secret_of(ns);
  try {
    keys_.set_namespace_key(ns, decoded(*secret, "accesskey"), decoded(*secret, "secretkey"));
  } catch (const Error& error) {
    // What somebody wrote there is no key of this store: it may be another store's.
    keys_.remove_namespace_key(ns);
    spdlog::warn("the Secret {}/{} is no S3 key: {}", ns, kSecret, error.message());
  }
  co_return std::nullopt;
}

}  // namespace penstock::server
