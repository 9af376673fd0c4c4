// Access keys: whose they are, and what they may be used for.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace penstock::objects {

// Who owns buckets and objects, and is granted rights to them.
struct Account {
  std::string id;     // S3's canonical user id
  std::string name;   // what S3 shows as DisplayName
  std::string email;  // may be empty
};

// Part of what a key may reach. A key without scopes reaches all that its account does.
struct Scope {
  std::string bucket;  // "*" and "?" match
  std::string prefix;  // of keys; empty: all
  bool read = true;
  bool write = true;
};

struct AccessKey {
  std::string access_key;
  std::string secret;
  Account account;
  std::vector<Scope> scopes;
};
using AccessKeyPtr = std::shared_ptr<const AccessKey>;  // a request keeps the one that it began with

// The root key, those of a file, and those of namespaces, which come and go. Thread-safe.
class Keys {
 public:
  struct Options {
    std::filesystem::path root_file;  // written with mode 0600 when it is not there: access key and secret, a line each
    std::string access_key, secret;   // the root key instead of the file's, when both are given
    std::filesystem::path keys_file;  // YAML, see docs/s3.md; empty: none
  };
  // Throws InvalidArgument naming the file and the entry that is wrong.
  explicit Keys(const Options& options);
  // Of one key, for tests.
  explicit Keys(AccessKey root);

  const AccessKey& root() const { return *root_; }
  AccessKeyPtr find(std::string_view access_key) const;  // null when there is none
  // A namespace's key acts for the root account within the prefixes of its artifacts. It takes the place of the one
  // that the namespace had. AlreadyExists when another key is called so, InvalidArgument when it is too short.
  void set_namespace_key(std::string_view ns, std::string access_key, std::string secret);
  void remove_namespace_key(std::string_view ns);

  // By canonical id, or by e-mail address; null when nobody is called so.
  const Account* account(std::string_view id) const;
  const Account* account_of_email(std::string_view email) const;

 private:
  void add(AccessKey key);
  AccessKeyPtr root_;
  std::vector<AccessKeyPtr> accounts_;  // keys that stay, by whose accounts grants name people
  mutable std::mutex mutex_;            // over what follows
  std::map<std::string, AccessKeyPtr, std::less<>> keys_;
  std::map<std::string, std::string, std::less<>> of_namespaces_;  // access keys
};

// A random pair of access key and secret.
std::pair<std::string, std::string> make_key_pair();

// Reads the value of a keys file: {"keys": [{"access_key", "secret_key", "account": {…}, "scopes": […]}]}.
std::vector<AccessKey> read_keys(const json::value& value, const std::string& file, const Account& root);

}  // namespace penstock::objects
