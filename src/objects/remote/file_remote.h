// A folder of this machine, or one that is mounted from elsewhere, which the administrator has allowed. Keys are paths
// below it. No symbolic link is followed, whoever made it.
#pragma once

#include "objects/remote/remote.h"

namespace penstock::objects {

class FileRemote : public Remote {
 public:
  // NotFound when there is no such folder.
  FileRemote(std::filesystem::path root, std::shared_ptr<const Stop> stop);
  ~FileRemote() override;

  std::string name_of(std::string_view key) const override;
  std::optional<RemoteObject> find(const std::string& key) override;
  RemotePage list(const std::string& prefix, const std::string& token, size_t limit) override;
  void read(const RemoteObject& object, uint64_t offset, uint64_t length,
            const std::function<bool(std::string_view)>& sink) override;
  // Atomic and synced.
  void put(const std::string& key, int file, uint64_t size) override;
  void remove(const std::string& key) override;
  std::optional<std::filesystem::path> local_path(const std::string& key) override;

 private:
  int open(const std::string& key, int flags) const;  // -1 and errno
  std::filesystem::path root_;
  std::shared_ptr<const Stop> stop_;
  int fd_;
};

}  // namespace penstock::objects
