// Events: what happened to an object, in words, for `kubectl get events`.
#pragma once

#include "kube/api.h"

namespace penstock::kube {

inline constexpr std::string_view kNormal = "Normal";
inline constexpr std::string_view kWarning = "Warning";

// Records that `reason` ("FailedMount") happened to the object. The same reason and message for the same object is
// counted, not stored again. Objects without a namespace have their events in "default". What goes wrong is logged and
// not thrown: nobody's work fails for want of an event.
Async<> record_event(Api& api, Object object, std::string type, std::string reason, std::string message,
                     std::string component = "penstock");

}  // namespace penstock::kube
