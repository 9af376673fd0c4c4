#include "objects/s3/keys.h"

#include <fstream>
#include <sstream>

#include "base/clock.h"
#include "base/error.h"
#include "objects/checksum.h"
#include "objects/descriptor.h"
#include "objects/sealing.h"

namespace penstock::objects {

namespace {

std::string random_text(size_t length, std::string_view alphabet) {
  std::string bytes = random_bytes(length);
  for (char& c : bytes) c = alphabet[static_cast<uint8_t>(c) % alphabet.size()];
  return bytes;
}

Account root_account() { return {hex(digest_of(Algorithm::Sha256, "penstock")), "penstock", ""}; }

constexpr size_t kLeastAccessKey = 3, kLeastSecret = 8;
constexpr std::string_view kOwnNamespace = "kubeflow";

Scope read_scope(const json::value& value, const std::string& where) {
  if (!value.is_object()) throw invalid("{} must be a mapping", where);
  const json::object& object = value.get_object();
  for (const auto& [name, unused] : object) {
    if (name != "bucket" && name != "prefix" && name != "access") {
      throw invalid("{}: unknown key \"{}\"", where, std::string_view(name));
    }
  }
  Scope scope{get_string(object, "bucket", "*"), get_string(object, "prefix"), true, true};
  const auto access = get_string(object, "access", "all");
  if (access != "all" && access != "read" && access != "write") {
    throw invalid("{}: access {:?} is none of all, read, write", where, access);
  }
  scope.read = access != "write";
  scope.write = access != "read";
  return scope;
}

}  // namespace

std::vector<AccessKey> read_keys(const json::value& value, const std::string& file, const Account& root) {
  const json::value* list = value.is_object() ? penstock::find(value, "keys") : nullptr;
  if (list == nullptr || !list->is_array()) throw invalid("{} must hold a list under \"keys\"", file);
  std::vector<AccessKey> keys;
  for (const json::value& item : list->get_array()) {
    const auto where = fmt::format("{}: keys[{}]", file, keys.size());
    if (!item.is_object()) throw invalid("{} must be a mapping", where);
    const json::object& object = item.get_object();
    for (const auto& [name, unused] : object) {
      static constexpr std::string_view kKnown[] = {"access_key", "secret_key", "account", "scopes"};
      if (std::ranges::find(kKnown, std::string_view(name)) == std::end(kKnown)) {
        throw invalid("{}: unknown key \"{}\"", where, std::string_view(name));
      }
    }
    AccessKey key{get_string(object, "access_key"), get_string(object, "secret_key"), root, {}};
    if (key.access_key.size() < kLeastAccessKey) throw invalid("{}: access_key must have at least 3 characters", where);
    if (key.secret.size() < kLeastSecret) throw invalid("{}: secret_key must have at least 8 characters", where);
    if (const json::object* account = find_object(object, "account")) {
      key.account = {get_string(*account, "id"), get_string(*account, "name"), get_string(*account, "email")};
      if (key.account.id.empty()) throw invalid("{}: account needs an id", where);
      if (key.account.name.empty()) key.account.name = key.account.id;
    }
    if (const json::array* scopes = find_array(object, "scopes")) {
      for (const json::value& scope : *scopes) {
        key.scopes.push_back(read_scope(scope, fmt::format("{}.scopes[{}]", where, key.scopes.size())));
      }
    }
    keys.push_back(std::move(key));
  }
  return keys;
}

Keys::Keys(const Options& options) {
  AccessKey root;
  root.account = root_account();
  if (!options.access_key.empty() && !options.secret.empty()) {
    root.access_key = options.access_key;
    root.secret = options.secret;
  } else if (std::ifstream file(options.root_file); file) {
    std::getline(file, root.access_key);
    std::getline(file, root.secret);
    if (root.access_key.empty() || root.secret.empty()) {
      throw invalid("{} must hold an access key and a secret, a line each", options.root_file.string());
    }
  } else {
    std::tie(root.access_key, root.secret) = make_key_pair();
    write_secret(options.root_file, root.access_key + "\n" + root.secret + "\n");
  }
  root_ = std::make_shared<AccessKey>(root);
  add(root);
  if (options.keys_file.empty()) return;
  std::ifstream file(options.keys_file);
  if (!file) throw invalid("the S3 keys file {} cannot be read", options.keys_file.string());
  std::stringstream text;
  text << file.rdbuf();
  const auto documents = parse_yaml(text.str());
  if (documents.empty()) return;
  for (AccessKey& key : read_keys(documents[0], options.keys_file.string(), root.account)) add(std::move(key));
}

Keys::Keys(AccessKey root) : root_(std::make_shared<AccessKey>(root)) { add(std::move(root)); }

void Keys::add(AccessKey key) {
  auto name = key.access_key;
  auto shared = std::make_shared<AccessKey>(std::move(key));
  accounts_.push_back(shared);
  if (!keys_.emplace(name, std::move(shared)).second) throw invalid("the S3 access key {} is there twice", name);
}

void Keys::set_namespace_key(std::string_view ns, std::string access_key, std::string secret) {
  if (access_key.size() < kLeastAccessKey || secret.size() < kLeastSecret) {
    throw invalid("the S3 key of the namespace {} is too short", ns);
  }
  AccessKey key{access_key, std::move(secret), root_->account, {}};
  const auto reach = [&](std::string prefix) { key.scopes.push_back({"mlpipeline", std::move(prefix), true, true}); };
  reach(fmt::format("private-artifacts/{}/", ns));
  // Where the artifacts of runs without a namespace go.
  if (ns == kOwnNamespace) reach("v2/artifacts/");
  const std::lock_guard lock(mutex_);
  const auto old = of_namespaces_.find(ns);
  const bool same = old != of_namespaces_.end() && old->second == access_key;
  if (!same && keys_.contains(access_key)) {
    throw Error(Code::AlreadyExists, fmt::format("another S3 key than the namespace {}'s is called so", ns));
  }
  if (old != of_namespaces_.end()) keys_.erase(old->second);
  keys_[access_key] = std::make_shared<AccessKey>(std::move(key));
  of_namespaces_.insert_or_assign(std::string(ns), std::move(access_key));
}

void Keys::remove_namespace_key(std::string_view ns) {
  const std::lock_guard lock(mutex_);
  const auto found = of_namespaces_.find(ns);
  if (found == of_namespaces_.end()) return;
  keys_.erase(found->second);
  of_namespaces_.erase(found);
}

AccessKeyPtr Keys::find(std::string_view access_key) const {
  const std::lock_guard lock(mutex_);
  const auto found = keys_.find(access_key);
  return found == keys_.end() ? nullptr : found->second;
}

const Account* Keys::account(std::string_view id) const {
  for (const AccessKeyPtr& key : accounts_) {
    if (key->account.id == id) return &key->account;
  }
  return nullptr;
}

const Account* Keys::account_of_email(std::string_view email) const {
  if (email.empty()) return nullptr;
  for (const AccessKeyPtr& key : accounts_) {
    if (key->account.email == email) return &key->account;
  }
  return nullptr;
}

std::pair<std::string, std::string> make_key_pair() {
  static constexpr std::string_view kUpper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  static constexpr std::string_view kAny = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-";
  return {"PSTK" + random_text(16, kUpper), random_text(40, kAny)};
}

}  // namespace penstock::objects
