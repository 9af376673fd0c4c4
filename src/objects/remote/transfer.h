// Objects and whole trees of them between this machine's disk and a remote store: in constant memory, several at once,
// each piece tried again while that may help. Functions block, on threads of their own beside the caller's. Errors are
// the remote's; what was half-made here is removed.
#pragma once

#include "objects/remote/remote.h"

namespace penstock::objects {

struct TransferOptions {
  std::shared_ptr<const Stop> stop;  // never null in use
  int retries = 5;
  size_t workers = 4;                    // pieces at once
  uint64_t piece = 32ull << 20;          // of a large object that is fetched
  std::chrono::milliseconds pause{200};  // before the second try; doubled before each further one
};

// Runs `work` until it succeeds, as long as its error is worth another try.
void with_retries(const TransferOptions& options, const std::function<void()>& work);

// The object `key` as a file, or all below it as a folder, at `target`, which appears when it is whole; its parent is
// made. What stands there already stays and nothing is done. NotFound when the store has neither; InvalidArgument for
// keys that cannot be files.
void fetch_tree(Remote& remote, const std::string& key, const std::filesystem::path& target,
                const TransferOptions& options);

// Puts every file below the folder, which tasks have made, at `key`/NAME. Links to files inside are followed; what else
// a link may lead to is refused with InvalidArgument. An empty folder becomes an object whose key ends in "/".
void put_tree(Remote& remote, const std::filesystem::path& folder, const std::string& key,
              const TransferOptions& options);

// The object, or everything below it.
void remove_tree(Remote& remote, const std::string& key, const TransferOptions& options);
// Is there the object, or anything below it?
bool exists(Remote& remote, const std::string& key, const TransferOptions& options);

}  // namespace penstock::objects
