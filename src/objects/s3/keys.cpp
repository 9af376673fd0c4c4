#include "objects/s3/keys.h"

#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"
#include "objects/checksum.h"
#include "objects/descriptor.h"
#include <openssl/rand.h>

namespace penstock::objects {

namespace {

std::string random_text(size_t length, std::string_view alphabet) {
  std::string bytes(length, '\0');
  CHECK_INVARIANT(RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(length)) == 1);
  for (char& c : bytes) c = alphabet[static_cast<uint8_t>(c) % alphabet.size()];
  return bytes;
}

Account root_account() { return {hex(digest_of(Algorithm::Sha256, "penstock")), "penstock", ""}; }

AccessKey make_root_key() {
  static constexpr std::string_view kUpper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  static constexpr std::string_view kAny = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-";
  return {"PSTK" + random_text(16, kUpper), random_text(40, kAny), root_account(), {}};
}

void write_secret(const std::filesystem::path& file, const AccessKey& key) {
  const auto temporary = file.string() + ".tmp";
  {
    const Descriptor out(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!out) throw_errno(fmt::format("cannot write {}", temporary));
    write_all(out.get(), key.access_key + "\n" + key.secret + "\n");
    if (::fsync(out.get()) != 0) throw_errno(fmt::format("cannot write {}", temporary));
  }
  std::filesystem::rename(temporary, file);
  sync_folder(file.parent_path());
}

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
    if (key.access_key.size() < 3) throw invalid("{}: access_key must have at least 3 characters", where);
    if (key.secret.size() < 8) throw invalid("{}: secret_key must have at least 8 characters", where);
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
    root = make_root_key();
    write_secret(options.root_file, root);
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
  if (!keys_.emplace(name, std::make_shared<AccessKey>(std::move(key))).second) {
    throw invalid("the S3 access key {} is there twice", name);
  }
}

AccessKeyPtr Keys::find(std::string_view access_key) const {
  const auto found = keys_.find(access_key);
  return found == keys_.end() ? nullptr : found->second;
}

const Account* Keys::account(std::string_view id) const {
  for (const auto& [name, key] : keys_) {
    if (key->account.id == id) return &key->account;
  }
  return nullptr;
}

const Account* Keys::account_of_email(std::string_view email) const {
  if (email.empty()) return nullptr;
  for (const auto& [name, key] : keys_) {
    if (key->account.email == email) return &key->account;
  }
  return nullptr;
}

}  // namespace penstock::objects
