// The XML that S3 speaks: a small reader without document types, entities of its own or anything else that grows, and a
// writer.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace penstock::objects {

struct XmlNode {
  std::string name;                                             // without a prefix
  std::string text;                                             // of this element alone
  std::vector<std::pair<std::string, std::string>> attributes;  // with their prefixes
  std::vector<XmlNode> children;

  const XmlNode* child(std::string_view wanted) const;  // the first, or null
  std::vector<const XmlNode*> all(std::string_view wanted) const;
  std::string value(std::string_view wanted) const;  // the child's text, trimmed; empty without one
  std::string_view attribute(std::string_view wanted) const;
};

// Throws S3Error MalformedXML.
XmlNode parse_xml(std::string_view text);

class XmlWriter {
 public:
  // With S3's namespace when `space` is true.
  explicit XmlWriter(std::string_view root, bool space = true);
  XmlWriter& open(std::string_view name, std::string_view attributes = {});
  XmlWriter& close();
  XmlWriter& element(std::string_view name, std::string_view text);
  XmlWriter& element(std::string_view name, int64_t number) { return element(name, std::to_string(number)); }
  XmlWriter& flag(std::string_view name, bool value) { return element(name, value ? "true" : "false"); }
  XmlWriter& raw(std::string_view xml);
  std::string finish();  // closes what is open

 private:
  std::string out_;
  std::vector<std::string> open_;
};

std::string xml_escape(std::string_view text);

}  // namespace penstock::objects
