// The stores that URIs name, with what it takes to reach them: the settings and credentials come from the ConfigMap
// `kfp-launcher` and the Secrets of a namespace, else from the server's own configuration and environment. What is read
// of a Secret is used for the one operation and goes neither into logs nor to tasks.
//
// Owned by the server. Coroutines may be awaited from any loop; transfers run on threads of their own. Errors are those
// of objects/remote/remote.h, and InvalidArgument for URIs and settings that are wrong.
#pragma once

#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/async.h"
#include "http/message.h"
#include "kube/api.h"
#include "objects/remote/gs_remote.h"
#include "objects/remote/oci_image.h"
#include "objects/remote/transfer.h"
#include "objects/store.h"
#include "stores/settings.h"

namespace penstock::stores {

struct StoresOptions {
  json::value providers;  // of the server's file, for namespaces whose own say nothing of a scheme
  // HOST or HOST:PORT, with http:// where a registry speaks no TLS: those that a URI may name beyond the public
  // internet.
  std::vector<std::string> hosts;
  std::vector<std::filesystem::path> folders;  // that file:// may name
  // AWS_ACCESS_KEY_ID and its kin, GOOGLE_APPLICATION_CREDENTIALS, STORAGE_EMULATOR_HOST: what `fromEnv` takes.
  std::map<std::string, std::string> environment;
  int transfers = 8;                     // at once
  uint64_t max_download = 256ull << 30;  // of a web server's file
  std::chrono::seconds stall_timeout{60};
};

// Reads the file of --stores. Throws InvalidArgument naming it.
json::value read_providers(const std::filesystem::path& file);
// The variables of this process that StoresOptions::environment holds.
std::map<std::string, std::string> store_environment();

// What is asked for.
struct Ask {
  std::string ns;
  std::string uri;
  std::string root;  // the run's pipeline root, whose settings hold for what is below it; may be empty
  std::shared_ptr<objects::Stop> stop{};  // ends a transfer early; may be null. Shared by its two sides.
};

class Stores {
 public:
  // References must outlive it.
  Stores(kube::Api& api, objects::Store& embedded, StoresOptions options);
  ~Stores();

  // Ends every transfer: they throw Cancelled, and so do those to come.
  void stop();
  bool stopping() const;

  // What kfp-launcher says for runs whose pipeline names no root; empty when it says nothing.
  Async<std::string> default_root(std::string ns);
  // Throws InvalidArgument, with the field `pipeline_root`, for one where no task could put anything.
  static void check_root(const std::string& root);

  // Is the URI of another store than the embedded one?
  Async<bool> is_outside(std::string ns, std::string uri, std::string root);
  // Where a file:// URI's content lies, for tasks that see it as it is; empty for other schemes. NotFound,
  // PermissionDenied.
  std::optional<std::filesystem::path> local_path(const std::string& uri) const;

  // Of URIs that are outside:
  Async<> fetch(Ask ask, std::filesystem::path target);  // as objects::fetch_tree; an image becomes a folder
  Async<> put(Ask ask, std::filesystem::path folder);    // as objects::put_tree
  Async<bool> exists(Ask ask);
  Async<> remove(Ask ask);
  // At most `limit` bytes from the start of the object. NotFound.
  Async<std::string> read(Ask ask, uint64_t limit);

  // An object that is read piece by piece.
  struct Opened {
    std::shared_ptr<objects::Remote> remote;  // shared with the answer that streams it
    objects::RemoteObject object;
    objects::TransferOptions options;
  };
  // Empty when there is no object of just this name.
  Async<std::optional<Opened>> open(Ask ask);
  Async<> stream(Opened opened, http::BodyWriter& out);
  // Objects below it, at most `limit`.
  Async<std::vector<objects::RemoteObject>> list(Ask ask, size_t limit);

 private:
  struct Place;
  struct Login;
  Async<json::value> providers_of(std::string ns);
  Async<kube::Object> config_map(std::string ns);
  Async<std::optional<Access>> access_of(std::string ns, StoreUri uri);
  Async<Place> place_of(Ask ask);
  Async<Place> bucket_place(const Ask& ask, const StoreUri& uri, objects::RemoteOptions options);
  Async<Login> login_of(std::string ns, const Access& access, std::string scheme);
  Login login_of_environment(const Access& access, std::string_view scheme) const;
  Async<std::optional<objects::RegistryLogin>> registry_login(std::string ns, std::string registry);
  Place file_place(const StoreUri& uri, const objects::RemoteOptions& options) const;
  objects::RemoteOptions remote_options(const Ask& ask);
  std::shared_ptr<objects::Stop> begin(std::shared_ptr<objects::Stop> stop);
  std::shared_ptr<objects::GsTokens> tokens_of(const std::string& key_file);
  // Null: any address will do.
  std::function<bool(const std::string&)> guard_of(const std::string& host, const std::string& port) const;
  bool is_trusted(const std::string& host, const std::string& port, std::string_view scheme = {}) const;

  kube::Api& api_;
  objects::Store& embedded_;
  const StoresOptions options_;
  http::ClientPool connections_;
  mutable std::mutex mutex_;
  bool stopping_ = false;
  std::list<std::weak_ptr<objects::Stop>> stops_;                     // of what is under way
  std::map<std::string, std::shared_ptr<objects::GsTokens>> tokens_;  // by the hash of their key file
  BlockingPool pool_;                                                 // what may take long
  BlockingPool quick_;  // what somebody waits for: it must not wait behind that
};

}  // namespace penstock::stores
