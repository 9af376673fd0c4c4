// The three ways to patch a JSON value. Each changes `target` in place; when one throws, `target` is half-changed and
// must be thrown away.
#pragma once

#include "base/json.h"

namespace penstock::kube {

// RFC 6902. Throws BadRequest when the patch is malformed, InvalidArgument (Invalid, 422) naming the operation when it
// cannot be applied.
void apply_json_patch(json::value& target, const json::value& patch);

// RFC 7386.
void apply_merge_patch(json::value& target, const json::value& patch);

// Kubernetes' strategic merge: lists of the core kinds are merged by their key (containers by name, ports by
// containerPort, …); directives $patch, $retainKeys, $setElementOrder/… and $deleteFromPrimitiveList/… are followed.
// Throws BadRequest naming the list when an item lacks its key.
void apply_strategic_patch(json::value& target, const json::value& patch);

}  // namespace penstock::kube
