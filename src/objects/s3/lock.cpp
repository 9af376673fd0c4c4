#include "objects/s3/lock.h"

#include "objects/s3/call.h"
#include "objects/s3/xml.h"

namespace penstock::objects {

namespace {

std::optional<Time> until_of(const json::object& retention) { return parse_time(get_string(retention, "until")); }

}  // namespace

bool has_lock(const Bucket& bucket) {
  const json::object* lock = find_object(bucket.config, "lock");
  return lock != nullptr && get_bool(*lock, "enabled");
}

json::object read_retention(std::string_view mode, std::string_view until, Time now) {
  if (mode != "GOVERNANCE" && mode != "COMPLIANCE") throw S3Error("MalformedXML");
  const auto time = parse_time(until);
  if (!time) throw S3Error("MalformedXML");
  if (*time <= now) throw S3Error("InvalidArgument", "The retain until date must be in the future!");
  return {{"mode", mode}, {"until", format_time(*time, true)}};
}

void lock_of_headers(const http::Request& request, const Bucket& bucket, Time now, json::object& meta) {
  const auto mode = request.header("x-amz-object-lock-mode");
  const auto until = request.header("x-amz-object-lock-retain-until-date");
  const auto hold = request.header("x-amz-object-lock-legal-hold");
  if (!has_lock(bucket)) {
    if (!mode.empty() || !until.empty() || !hold.empty()) {
      throw S3Error("InvalidRequest", "Bucket is missing Object Lock Configuration");
    }
    return;
  }
  if (mode.empty() != until.empty()) {
    throw S3Error("InvalidArgument",
                  "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied");
  }
  if (!hold.empty()) {
    if (hold != "ON" && hold != "OFF") throw S3Error("InvalidArgument", "Unknown legal hold");
    meta["hold"] = hold;
  }
  if (!mode.empty()) {
    if (mode != "GOVERNANCE" && mode != "COMPLIANCE") throw S3Error("InvalidArgument", "Unknown wormMode directive");
    const auto time = parse_time(until);
    if (!time) throw S3Error("InvalidArgument", "The retain until date must be an ISO 8601 date");
    meta["retention"] = read_retention(mode, until, now);
    return;
  }
  const json::object& lock = *find_object(bucket.config, "lock");
  const auto days = get_int(lock, "days") + get_int(lock, "years") * 365;
  if (days > 0) {
    meta["retention"] =
        json::object{{"mode", get_string(lock, "mode")}, {"until", format_time(now + std::chrono::days(days), true)}};
  }
}

bool wants_bypass(const http::Request& request) {
  const auto value = request.header("x-amz-bypass-governance-retention");
  return value == "true" || value == "True" || value == "TRUE";
}

void check_unlocked(const Object& object, Time now, bool bypass) {
  if (get_string(object.meta, "hold") == "ON") {
    throw S3Error("AccessDenied", "Access Denied because object protected by object lock.");
  }
  const json::object* retention = find_object(object.meta, "retention");
  if (retention == nullptr) return;
  const auto until = until_of(*retention);
  if (!until || *until <= now) return;
  if (get_string(*retention, "mode") == "GOVERNANCE" && bypass) return;
  throw S3Error("AccessDenied", "Access Denied because object protected by object lock.");
}

void check_retention_change(const json::object& meta, const json::object& retention, Time now, bool bypass) {
  const json::object* old = find_object(meta, "retention");
  if (old == nullptr) return;
  const auto until = until_of(*old);
  if (!until || *until <= now) return;
  const auto mode = get_string(*old, "mode");
  const bool longer = until_of(retention).value_or(Time{}) >= *until;
  const bool same_mode = get_string(retention, "mode") == mode;
  if (longer && (same_mode || mode == "GOVERNANCE")) {
    // From GOVERNANCE to COMPLIANCE is stricter; it needs the right to change it all the same.
    if (same_mode || bypass) return;
  }
  if (mode == "GOVERNANCE" && bypass) return;
  throw S3Error("AccessDenied", "Access Denied because object protected by object lock.");
}

json::object read_lock_configuration(std::string_view text) {
  const XmlNode root = parse_xml(text);
  if (root.name != "ObjectLockConfiguration") throw S3Error("MalformedXML");
  if (root.value("ObjectLockEnabled") != "Enabled") throw S3Error("MalformedXML");
  json::object lock{{"enabled", true}};
  const XmlNode* rule = root.child("Rule");
  if (rule == nullptr) return lock;
  const XmlNode* retention = rule->child("DefaultRetention");
  if (retention == nullptr) throw S3Error("MalformedXML");
  const auto mode = retention->value("Mode"), days = retention->value("Days"), years = retention->value("Years");
  if (mode != "GOVERNANCE" && mode != "COMPLIANCE") throw S3Error("MalformedXML");
  if (days.empty() == years.empty()) throw S3Error("MalformedXML");
  const auto count = [](const std::string& period, int64_t most) {
    int64_t number = 0;
    try {
      number = number_of(period, "retention period");
    } catch (const S3Error&) {
      number = 0;
    }
    if (number <= 0 || number > most) {
      throw S3Error("InvalidRetentionPeriod", "Default retention period must be a positive integer value");
    }
    return number;
  };
  lock["mode"] = mode;
  if (!days.empty()) lock["days"] = count(days, 36'500);
  if (!years.empty()) lock["years"] = count(years, 100);
  return lock;
}

std::string lock_configuration_xml(const json::object& lock) {
  XmlWriter xml("ObjectLockConfiguration");
  xml.element("ObjectLockEnabled", "Enabled");
  if (lock.contains("mode")) {
    xml.open("Rule").open("DefaultRetention").element("Mode", get_string(lock, "mode"));
    if (lock.contains("days")) xml.element("Days", get_int(lock, "days"));
    if (lock.contains("years")) xml.element("Years", get_int(lock, "years"));
  }
  return xml.finish();
}

}  // namespace penstock::objects
