// Between records and rows. Private to this folder.
#pragma once

#include "metadata/metadata.h"

namespace penstock::metadata {

// Of the alias t, as read_artifact takes them.
inline constexpr std::string_view kArtifactColumns =
    "t.artifact_id, t.uuid, t.name, t.description, t.type, t.type_version, t.uri, t.created_at, t.namespace, t.run_id, "
    "t.task_id, t.producer_key, t.metadata, t.number_value";
// The same without the metadata, which may be long.
inline constexpr std::string_view kBareArtifactColumns =
    "t.artifact_id, t.uuid, t.name, t.description, t.type, t.type_version, t.uri, t.created_at, t.namespace, t.run_id, "
    "t.task_id, t.producer_key, '', t.number_value";
Artifact read_artifact(db::Rows& rows);

// The table of types, with those of the reference's schema and of the artifacts that are there.
const std::string& types_script();
// Makes the artifact's type known, if it is not.
void put_type(db::Connection& connection, const Artifact& artifact);

template <class T>
std::vector<T> read_all(db::Rows rows, T (*read)(db::Rows&)) {
  std::vector<T> out;
  while (rows.next()) out.push_back(read(rows));
  return out;
}

}  // namespace penstock::metadata
