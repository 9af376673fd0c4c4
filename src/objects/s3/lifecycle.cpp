#include "objects/s3/lifecycle.h"

#include "objects/s3/call.h"
#include "objects/s3/lock.h"
#include "objects/s3/service.h"
#include "objects/s3/xml.h"

namespace penstock::objects {

namespace {

constexpr size_t kMaxRules = 1'000;
using Days = std::chrono::days;

S3Error bad(std::string message) { return S3Error("InvalidArgument", std::move(message)); }

int64_t positive(const std::string& text, std::string_view name) {
  int64_t value = 0;
  try {
    value = number_of(text, name);
  } catch (const S3Error&) {
    value = 0;
  }
  if (value <= 0) throw bad(fmt::format("'{}' must be a positive integer", name));
  return value;
}

// Midnight UTC, "2026-01-02T00:00:00Z", or a date alone.
std::string read_date(const std::string& text) {
  auto time = parse_time(text.size() == 10 ? text + "T00:00:00Z" : text);
  if (!time) throw S3Error("MalformedXML");
  if (std::chrono::floor<Days>(*time) != *time) throw bad("'Date' must be at midnight GMT");
  return format_time(*time);
}

void read_filter(const XmlNode& node, json::object& rule) {
  const XmlNode* all = node.child("And");
  const XmlNode& from = all != nullptr ? *all : node;
  if (from.child("Prefix") != nullptr) rule["prefix"] = from.child("Prefix")->text;
  json::object tags;
  for (const XmlNode* tag : from.all("Tag")) {
    if (tags.contains(tag->value("Key"))) throw S3Error("InvalidRequest", "Duplicate Tag Keys are not allowed.");
    tags[tag->value("Key")] = tag->value("Value");
  }
  if (!tags.empty()) rule["tags"] = std::move(tags);
  if (const auto size = from.value("ObjectSizeGreaterThan"); !size.empty())
    rule["larger"] = number_of(size, "ObjectSizeGreaterThan");
  if (const auto size = from.value("ObjectSizeLessThan"); !size.empty())
    rule["smaller"] = number_of(size, "ObjectSizeLessThan");
}

json::object read_expiration(const XmlNode& node) {
  json::object out;
  const auto days = node.value("Days"), date = node.value("Date"), markers = node.value("ExpiredObjectDeleteMarker");
  if (int{!days.empty()} + int{!date.empty()} + int{!markers.empty()} != 1) throw S3Error("MalformedXML");
  if (!days.empty()) out["days"] = positive(days, "Days");
  if (!date.empty()) out["date"] = read_date(date);
  if (!markers.empty()) out["markers"] = markers == "true";
  return out;
}

json::object read_rule(const XmlNode& node, size_t number) {
  json::object rule;
  const auto id = node.value("ID"), status = node.value("Status");
  if (id.size() > 255) throw bad("ID length should not exceed allowed limit of 255");
  rule["id"] = id.empty() ? fmt::format("rule-{}", number) : id;
  if (status != "Enabled" && status != "Disabled") throw S3Error("MalformedXML");
  rule["enabled"] = status == "Enabled";
  const XmlNode *filter = node.child("Filter"), *prefix = node.child("Prefix");
  if ((filter == nullptr) == (prefix == nullptr)) throw S3Error("MalformedXML");
  if (prefix != nullptr) {
    rule["prefix"] = prefix->text;
    rule["old_prefix"] = true;
  } else {
    read_filter(*filter, rule);
  }
  bool acts = false;
  if (const XmlNode* expiration = node.child("Expiration")) {
    rule["expiration"] = read_expiration(*expiration);
    acts = true;
  }
  if (const XmlNode* old = node.child("NoncurrentVersionExpiration")) {
    json::object out{{"days", positive(old->value("NoncurrentDays"), "NoncurrentDays")}};
    if (const auto newer = old->value("NewerNoncurrentVersions"); !newer.empty()) {
      out["newer"] = positive(newer, "NewerNoncurrentVersions");
    }
    rule["noncurrent"] = std::move(out);
    acts = true;
  }
  if (const XmlNode* stale = node.child("AbortIncompleteMultipartUpload")) {
    rule["abort_days"] = positive(stale->value("DaysAfterInitiation"), "DaysAfterInitiation");
    acts = true;
  }
  if (node.child("Transition") != nullptr || node.child("NoncurrentVersionTransition") != nullptr) {
    throw S3Error("NotImplemented", "There is one storage class: transitions are not implemented");
  }
  if (!acts) throw S3Error("InvalidRequest", "At least one action needs to be specified in a rule.");
  return rule;
}

bool selects(const json::object& rule, const Object& object) {
  if (!get_bool(rule, "enabled") || !object.key.starts_with(get_string(rule, "prefix"))) return false;
  if (rule.contains("larger") && object.size <= static_cast<uint64_t>(get_int(rule, "larger"))) return false;
  if (rule.contains("smaller") && object.size >= static_cast<uint64_t>(get_int(rule, "smaller"))) return false;
  const json::object* wanted = find_object(rule, "tags");
  if (wanted == nullptr) return true;
  const json::object* tags = find_object(object.meta, "tags");
  return std::ranges::all_of(*wanted, [&](const auto& tag) {
    const json::value* value = tags != nullptr ? tags->if_contains(tag.key()) : nullptr;
    return value != nullptr && *value == tag.value();
  });
}

// Days end at the midnight that follows.
Time due(Time since, int64_t days) {
  const Time end = since + Days(days);
  const auto day = std::chrono::floor<Days>(end);
  return day == end ? Time(day) : Time(day + Days(1));
}

template <class Visit>
void each_rule(const json::object& lifecycle, Visit visit) {
  for (const json::value& value : lifecycle.at("rules").as_array()) visit(value.as_object());
}

}  // namespace

json::object read_lifecycle(std::string_view text) {
  const XmlNode root = parse_xml(text);
  if (root.name != "LifecycleConfiguration") throw S3Error("MalformedXML");
  json::array rules;
  std::set<std::string> ids;
  for (const XmlNode* node : root.all("Rule")) {
    rules.push_back(read_rule(*node, rules.size() + 1));
    if (!ids.insert(get_string(rules.back().as_object(), "id")).second) {
      throw bad("Rule ID must be unique. Found same ID for more than one rule");
    }
  }
  if (rules.empty() || rules.size() > kMaxRules) throw S3Error("MalformedXML");
  return {{"rules", std::move(rules)}};
}

std::string lifecycle_to_xml(const json::object& lifecycle) {
  XmlWriter xml("LifecycleConfiguration");
  each_rule(lifecycle, [&](const json::object& rule) {
    xml.open("Rule").element("ID", get_string(rule, "id"));
    const json::object* tags = find_object(rule, "tags");
    if (rule.contains("old_prefix")) {
      xml.element("Prefix", get_string(rule, "prefix"));
    } else {
      xml.open("Filter");
      const size_t count = (rule.contains("prefix") ? 1 : 0) + (tags != nullptr ? tags->size() : 0) +
                           (rule.contains("larger") ? 1 : 0) + (rule.contains("smaller") ? 1 : 0);
      if (count > 1) xml.open("And");
      if (rule.contains("prefix")) xml.element("Prefix", get_string(rule, "prefix"));
      if (tags != nullptr) {
        for (const auto& [key, value] : *tags) {
          xml.open("Tag").element("Key", std::string_view(key)).element("Value", to_std(value.as_string()));
          xml.close();
        }
      }
      if (rule.contains("larger")) xml.element("ObjectSizeGreaterThan", get_int(rule, "larger"));
      if (rule.contains("smaller")) xml.element("ObjectSizeLessThan", get_int(rule, "smaller"));
      if (count > 1) xml.close();
      xml.close();
    }
    xml.element("Status", get_bool(rule, "enabled") ? "Enabled" : "Disabled");
    if (const json::object* expiration = find_object(rule, "expiration")) {
      xml.open("Expiration");
      if (expiration->contains("days")) xml.element("Days", get_int(*expiration, "days"));
      if (expiration->contains("date")) xml.element("Date", get_string(*expiration, "date"));
      if (expiration->contains("markers")) xml.flag("ExpiredObjectDeleteMarker", get_bool(*expiration, "markers"));
      xml.close();
    }
    if (const json::object* old = find_object(rule, "noncurrent")) {
      xml.open("NoncurrentVersionExpiration").element("NoncurrentDays", get_int(*old, "days"));
      if (old->contains("newer")) xml.element("NewerNoncurrentVersions", get_int(*old, "newer"));
      xml.close();
    }
    if (rule.contains("abort_days")) {
      xml.open("AbortIncompleteMultipartUpload").element("DaysAfterInitiation", get_int(rule, "abort_days")).close();
    }
    xml.close();
  });
  return xml.finish();
}

std::optional<Expiry> expiry_of(const json::object& lifecycle, const Object& object) {
  std::optional<Expiry> first;
  each_rule(lifecycle, [&](const json::object& rule) {
    const json::object* expiration = find_object(rule, "expiration");
    if (expiration == nullptr || !selects(rule, object)) return;
    std::optional<Time> at;
    if (expiration->contains("days")) at = due(object.modified, get_int(*expiration, "days"));
    if (expiration->contains("date")) at = parse_time(get_string(*expiration, "date"));
    if (at && (!first || *at < first->at)) first = Expiry{get_string(rule, "id"), *at};
  });
  return first;
}

std::vector<Expired> expired_of(const json::object& lifecycle, const std::vector<Object>& states, bool versioned,
                                Time now) {
  std::vector<Expired> out;
  if (states.empty()) return out;
  const Object& newest = states[0];
  if (!newest.marker) {
    if (const auto expiry = expiry_of(lifecycle, newest); expiry && expiry->at <= now) {
      out.push_back({newest.key, newest.version, true});
    }
  } else if (states.size() == 1) {
    // A marker that hides nothing.
    bool goes = false;
    each_rule(lifecycle, [&](const json::object& rule) {
      const json::object* expiration = find_object(rule, "expiration");
      if (expiration == nullptr || !selects(rule, newest)) return;
      const bool old = expiration->contains("days") && due(newest.modified, get_int(*expiration, "days")) <= now;
      goes = goes || old || get_bool(*expiration, "markers");
    });
    if (goes) out.push_back({newest.key, newest.version, false});
  }
  if (!versioned) return out;
  each_rule(lifecycle, [&](const json::object& rule) {
    const json::object* old = find_object(rule, "noncurrent");
    if (old == nullptr) return;
    const auto newer = static_cast<size_t>(get_int(*old, "newer"));
    for (size_t i = 1 + newer; i < states.size(); ++i) {
      // It is noncurrent since its successor came.
      const bool known = std::ranges::any_of(out, [&](const Expired& e) { return e.version == states[i].version; });
      if (known || !selects(rule, states[i])) continue;
      if (due(states[i - 1].modified, get_int(*old, "days")) <= now) {
        out.push_back({states[i].key, states[i].version, false});
      }
    }
  });
  return out;
}

bool upload_expired(const json::object& lifecycle, const UploadInfo& upload, Time now) {
  bool expired = false;
  each_rule(lifecycle, [&](const json::object& rule) {
    if (!get_bool(rule, "enabled") || !rule.contains("abort_days")) return;
    if (!upload.key.starts_with(get_string(rule, "prefix"))) return;
    expired = expired || due(upload.initiated, get_int(rule, "abort_days")) <= now;
  });
  return expired;
}

void run_lifecycle(Engine& engine, const BucketPtr& bucket, Time now) {
  const json::object* lifecycle = find_object(bucket->config, "lifecycle");
  if (lifecycle == nullptr) return;
  const bool versioned = bucket->versioning != Versioning::Off;
  const auto remove = [&](const std::vector<Object>& states) {
    for (const Expired& gone : expired_of(*lifecycle, states, versioned, now)) {
      const auto check = [&](const Object* object) {
        // It may have been written again since it was listed, or be locked.
        if (object == nullptr || object->version != gone.version) throw S3Error("PreconditionFailed");
        if (gone.current && object->modified != states[0].modified) throw S3Error("PreconditionFailed");
        if (!(gone.current && versioned)) check_unlocked(*object, now, false);
      };
      const bool whole = gone.current;
      engine.remove_checked_now(*bucket, gone.key, whole ? std::nullopt : std::optional(gone.version), check);
    }
  };
  ListQuery query;
  std::vector<Object> states;
  while (true) {
    const ListPage page = engine.list_versions_now(*bucket, query);
    for (const Object& object : page.objects) {
      if (!states.empty() && states[0].key != object.key) {
        remove(states);
        states.clear();
      }
      states.push_back(object);
    }
    if (!page.truncated) break;
    query.after = page.next;
    query.after_version = page.next_version;
  }
  remove(states);
  for (const UploadInfo& upload : engine.uploads_now(*bucket)) {
    if (upload_expired(*lifecycle, upload, now)) engine.abort_now(*bucket, upload);
  }
}

std::optional<std::string> S3Service::expiration_of(const Bucket& bucket, const Object& object) const {
  const json::object* lifecycle = find_object(bucket.config, "lifecycle");
  if (lifecycle == nullptr) return std::nullopt;
  const auto expiry = expiry_of(*lifecycle, object);
  if (!expiry) return std::nullopt;
  return fmt::format("expiry-date=\"{}\", rule-id=\"{}\"", format_http_time(expiry->at),
                     http::url_encode(expiry->rule));
}

}  // namespace penstock::objects
