#include "objects/s3/xml.h"

#include <charconv>

#include "base/utf8.h"
#include "objects/s3_error.h"

namespace penstock::objects {

namespace {

constexpr int kMaxDepth = 16;
constexpr size_t kMaxNodes = 200'000;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == '.' || c == ':' || static_cast<uint8_t>(c) >= 0x80;
}

std::string utf8_of(uint32_t point) {
  std::string out;
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xc0 | (point >> 6));
    out += static_cast<char>(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xe0 | (point >> 12));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (point & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | (point >> 18));
    out += static_cast<char>(0x80 | ((point >> 12) & 0x3f));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (point & 0x3f));
  }
  return out;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  XmlNode read() {
    if (rest_.starts_with("\xef\xbb\xbf")) rest_.remove_prefix(3);
    skip_outside();
    XmlNode root = read_element(0);
    skip_outside();
    if (!rest_.empty()) fail("something follows the root element");
    return root;
  }

 private:
  [[noreturn]] static void fail(std::string_view why) {
    throw S3Error("MalformedXML", fmt::format("The XML that you provided is not well formed: {}", why));
  }

  bool take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  void skip_spaces() {
    while (!rest_.empty() && is_space(rest_[0])) rest_.remove_prefix(1);
  }
  std::string_view until(std::string_view end) {
    const size_t at = rest_.find(end);
    if (at == std::string_view::npos) fail("it ends too early");
    const auto out = rest_.substr(0, at);
    rest_.remove_prefix(at + end.size());
    return out;
  }
  // What may stand before and behind the root.
  void skip_outside() {
    while (true) {
      skip_spaces();
      if (take("<?")) {
        until("?>");
      } else if (take("<!--")) {
        until("-->");
      } else {
        return;
      }
    }
  }
  std::string_view read_name() {
    size_t length = 0;
    while (length < rest_.size() && is_name(rest_[length])) ++length;
    if (length == 0) fail("a name is missing");
    const auto name = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return name;
  }

  std::string decode(std::string_view text) {
    std::string out;
    while (!text.empty()) {
      const size_t mark = text.find('&');
      out += text.substr(0, mark);
      if (mark == std::string_view::npos) break;
      const size_t end = text.find(';', mark);
      if (end == std::string_view::npos) fail("an entity does not end");
      const auto name = text.substr(mark + 1, end - mark - 1);
      text.remove_prefix(end + 1);
      out += entity(name);
    }
    return out;
  }
  std::string entity(std::string_view name) {
    if (name == "lt") return "<";
    if (name == "gt") return ">";
    if (name == "amp") return "&";
    if (name == "quot") return "\"";
    if (name == "apos") return "'";
    uint32_t point = 0;
    const bool hexadecimal = name.starts_with("#x");
    const auto digits = name.substr(hexadecimal ? 2 : std::min<size_t>(1, name.size()));
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), point, hexadecimal ? 16 : 10);
    const bool good = name.starts_with('#') && !digits.empty() && error == std::errc{} &&
                      end == digits.data() + digits.size() && point <= 0x10ffff && !(point >= 0xd800 && point < 0xe000);
    if (!good || point == 0) fail("there is an unknown entity");
    return utf8_of(point);
  }

  void read_attributes(XmlNode& node) {
    while (true) {
      skip_spaces();
      if (rest_.empty()) fail("it ends too early");
      if (rest_[0] == '>' || rest_[0] == '/') return;
      const auto name = read_name();
      skip_spaces();
      if (!take("=")) fail("an attribute has no value");
      skip_spaces();
      const bool quote = take("\"");
      if (!quote && !take("'")) fail("an attribute's value is not quoted");
      node.attributes.emplace_back(name, decode(until(quote ? "\"" : "'")));
      if (node.attributes.size() > 16) fail("too many attributes");
    }
  }

  XmlNode read_element(int depth) {
    if (depth > kMaxDepth) fail("it is nested too deeply");
    if (++nodes_ > kMaxNodes) fail("it has too many elements");
    if (rest_.starts_with("<!")) fail("document types are not accepted");
    if (!take("<")) fail("an element is missing");
    XmlNode node;
    const auto full = read_name();
    node.name = full.substr(full.rfind(':') == std::string_view::npos ? 0 : full.rfind(':') + 1);
    read_attributes(node);
    if (take("/>")) return node;
    if (!take(">")) fail("a tag does not end");
    while (true) {
      const size_t mark = rest_.find('<');
      if (mark == std::string_view::npos) fail("an element does not end");
      node.text += decode(rest_.substr(0, mark));
      rest_.remove_prefix(mark);
      if (take("<!--")) {
        until("-->");
      } else if (take("<![CDATA[")) {
        node.text += until("]]>");
      } else if (take("</")) {
        if (read_name() != full) fail("the tags do not match");
        skip_spaces();
        if (!take(">")) fail("a tag does not end");
        return node;
      } else {
        node.children.push_back(read_element(depth + 1));
      }
    }
  }

  std::string_view rest_;
  size_t nodes_ = 0;
};

}  // namespace

const XmlNode* XmlNode::child(std::string_view wanted) const {
  for (const XmlNode& node : children) {
    if (node.name == wanted) return &node;
  }
  return nullptr;
}

std::vector<const XmlNode*> XmlNode::all(std::string_view wanted) const {
  std::vector<const XmlNode*> out;
  for (const XmlNode& node : children) {
    if (node.name == wanted) out.push_back(&node);
  }
  return out;
}

std::string XmlNode::value(std::string_view wanted) const {
  const XmlNode* node = child(wanted);
  if (node == nullptr) return {};
  std::string_view trimmed = node->text;
  while (!trimmed.empty() && is_space(trimmed.front())) trimmed.remove_prefix(1);
  while (!trimmed.empty() && is_space(trimmed.back())) trimmed.remove_suffix(1);
  return std::string(trimmed);
}

std::string_view XmlNode::attribute(std::string_view wanted) const {
  for (const auto& [key, value] : attributes) {
    if (key == wanted) return value;
  }
  return {};
}

XmlNode parse_xml(std::string_view text) {
  if (!is_utf8(text)) throw S3Error("MalformedXML", "The XML that you provided is not UTF-8");
  return Reader(text).read();
}

std::string xml_escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default:
        if (static_cast<uint8_t>(c) < 0x20 && c != '\n' && c != '\t') {
          out += fmt::format("&#x{:x};", static_cast<unsigned>(c));
        } else {
          out += c;
        }
    }
  }
  return out;
}

XmlWriter::XmlWriter(std::string_view root, bool space) : out_("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n") {
  open(root, space ? "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"" : "");
}

XmlWriter& XmlWriter::open(std::string_view name, std::string_view attributes) {
  out_ += fmt::format("<{}{}{}>", name, attributes.empty() ? "" : " ", attributes);
  open_.emplace_back(name);
  return *this;
}

XmlWriter& XmlWriter::close() {
  out_ += fmt::format("</{}>", open_.back());
  open_.pop_back();
  return *this;
}

XmlWriter& XmlWriter::element(std::string_view name, std::string_view text) {
  out_ += fmt::format("<{0}>{1}</{0}>", name, xml_escape(text));
  return *this;
}

XmlWriter& XmlWriter::raw(std::string_view xml) {
  out_ += xml;
  return *this;
}

std::string XmlWriter::finish() {
  while (!open_.empty()) close();
  return std::move(out_);
}

}  // namespace penstock::objects
