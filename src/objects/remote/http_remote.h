// One file of a web server. Its key is empty.
#pragma once

#include "objects/remote/remote.h"

namespace penstock::objects {

// The size of what a server tells none of.
inline constexpr uint64_t kUnknownSize = UINT64_MAX;

class HttpRemote : public Remote {
 public:
  // `redirects`: how many are followed; `limit`: files that are longer are refused.
  HttpRemote(std::string url, int redirects, uint64_t limit, RemoteOptions options);

  std::string name_of(std::string_view key) const override;
  std::optional<RemoteObject> find(const std::string& key) override;
  RemotePage list(const std::string&, const std::string&, size_t) override { return {}; }
  void read(const RemoteObject& object, uint64_t offset, uint64_t length,
            const std::function<bool(std::string_view)>& sink) override;
  void put(const std::string&, int, uint64_t) override;  // Unimplemented
  void remove(const std::string&) override;              // Unimplemented

 private:
  http::ClientRequest make(std::string method) const;
  std::string url_;
  int redirects_;
  uint64_t limit_;
  RemoteOptions options_;
};

}  // namespace penstock::objects
