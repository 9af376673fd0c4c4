#include "objects/s3/tags.h"

#include "base/utf8.h"
#include "http/message.h"
#include "objects/s3_error.h"

namespace penstock::objects {

namespace {

// Characters, not bytes.
size_t length_of(std::string_view text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; }));
}

void add_tag(json::object& tags, const std::string& key, const std::string& value, size_t limit) {
  if (key.empty() || length_of(key) > 128) throw S3Error("InvalidTag", "The TagKey you have provided is invalid");
  if (length_of(value) > 256) throw S3Error("InvalidTag", "The TagValue you have provided is invalid");
  if (!is_utf8(key) || !is_utf8(value)) throw S3Error("InvalidTag");
  if (tags.contains(key)) throw S3Error("InvalidTag", "Cannot provide multiple Tags with the same key");
  tags[key] = value;
  if (tags.size() > limit) {
    throw S3Error("InvalidTag", fmt::format("Object tags cannot be greater than {}", limit));
  }
}

}  // namespace

json::object tags_of_query(std::string_view text) {
  json::object tags;
  for (const auto& [key, value] : http::parse_query(text)) add_tag(tags, key, value, kObjectTags);
  return tags;
}

json::object tags_of_xml(std::string_view text, size_t limit) {
  const XmlNode root = parse_xml(text);
  const XmlNode* set = root.child("TagSet");
  if (root.name != "Tagging" || set == nullptr) throw S3Error("MalformedXML");
  json::object tags;
  for (const XmlNode* tag : set->all("Tag")) {
    const XmlNode *key = tag->child("Key"), *value = tag->child("Value");
    if (key == nullptr || value == nullptr) throw S3Error("MalformedXML");
    add_tag(tags, key->text, value->text, limit);
  }
  return tags;
}

std::string tags_to_xml(const json::object& tags) {
  XmlWriter xml("Tagging");
  xml.open("TagSet");
  // By the bytes of keys, in whatever order they came.
  std::map<std::string_view, std::string> sorted;
  for (const auto& [key, value] : tags) sorted.emplace(key, to_std(value.as_string()));
  for (const auto& [key, value] : sorted) {
    xml.open("Tag").element("Key", key).element("Value", value);
    xml.close();
  }
  return xml.finish();
}

}  // namespace penstock::objects
