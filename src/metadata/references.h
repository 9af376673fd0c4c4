// Who needs an artifact's content, and so what goes when runs go.
//
// The content of an artifact lies at its uri. It stays for as long as anything that stays refers to it: a task of a run
// that stays, as a cached output too; another artifact at that place, above or below it; whoever holds it by hold(),
// as the model registry does. An artifact that stays though its run is gone is an orphan: it goes when the last one
// that refers to it does.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "db/database.h"

namespace penstock::metadata {

// `holder` holds what lies at `uri`, or nothing any more when it is empty. `what` says to people who that is.
void hold(db::Connection& connection, const std::string& holder, std::string_view uri, std::string_view what);

// Held by those who have no row here: uri and what it is.
using OtherHolds = std::vector<std::pair<std::string, std::string>>;

// The same place, one in the other, or neither: "minio://b/a" and "s3://b/a/c" overlap.
bool overlap(std::string_view uri, std::string_view other);

struct LeavingArtifact {
  int64_t artifact_id = 0;
  std::string name, uri, run_id, name_space, pipeline, task_id{};
  int64_t bytes = -1;   // -1: not measured
  bool orphan = false;  // its run is gone already
  bool own = true;      // false: the content is not the run's, and stays where it is
};
struct StayingArtifact {
  int64_t artifact_id = 0;
  std::string uri, reason;
};
struct Removal {
  std::vector<LeavingArtifact> goes;
  std::vector<StayingArtifact> stays;
};

// What goes of that which the runs `of` have made or taken when all of `runs` go, of which they are.
Removal removal_of(db::Connection& connection, const std::vector<std::string>& of,
                   const std::set<std::string, std::less<>>& runs, const OtherHolds& others);
// Orphans that no run has to do with any more.
Removal unneeded_orphans(db::Connection& connection, int64_t most, const OtherHolds& others);
// Why the content at `uri`, which no artifact that goes has any more, must stay; nothing when it need not.
std::optional<std::string> why_kept(db::Connection& connection, std::string_view uri, const OtherHolds& others);
// Deletes the rows of what goes, all links of the runs, and makes orphans of what stays.
void remove(db::Connection& connection, const std::set<std::string, std::less<>>& runs, const Removal& removal);

// --- used space: bytes by run, pipeline and namespace, kept with every change ---

struct SpaceOwner {
  std::string run_id, pipeline, name_space;
};
struct Space {
  int64_t artifact_bytes = 0, artifacts = 0, log_bytes = 0;
};
void add_space(db::Connection& connection, const SpaceOwner& owner, const Space& change);
Space space_of_run(db::Connection& connection, std::string_view run_id);

// An artifact's bytes as they were found; counted for its run. A content that two artifacts share is the first one's.
void set_artifact_bytes(db::Connection& connection, int64_t artifact_id, int64_t bytes, const std::string& pipeline);

}  // namespace penstock::metadata
