#include <charconv>
#include <cstdlib>

#include "base/error.h"
#include "pipelines/ir/cel_node.h"

namespace penstock::cel {

namespace {

constexpr int kMaxDepth = 200;
constexpr size_t kMaxLength = 256 * 1024;

using NodePtr = std::unique_ptr<Node>;

bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  NodePtr parse() {
    if (text_.size() > kMaxLength) throw invalid("the expression is longer than {} characters", kMaxLength);
    NodePtr node = conditional();
    skip_space();
    if (at_ < text_.size()) fail(fmt::format("unexpected '{}'", text_.substr(at_, 1)));
    return node;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw invalid("{} at column {} of the expression \"{}\"", what, at_ + 1,
                  text_.size() > 200 ? std::string(text_.substr(0, 200)) + "…" : std::string(text_));
  }

  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) {
      ++at_;
    }
  }

  bool take(std::string_view token) {
    skip_space();
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }

  void expect(std::string_view token) {
    if (!take(token)) fail(fmt::format("expected '{}'", token));
  }

  // Every level of nesting in the text passes here, so that neither parsing nor evaluating can exhaust the stack.
  NodePtr make(Node::Kind kind, std::string name, std::vector<NodePtr> children) const {
    auto node = std::make_unique<Node>();
    node->kind = kind;
    node->name = std::move(name);
    for (const auto& child : children) node->depth = std::max(node->depth, child->depth + 1);
    if (node->depth > kMaxDepth) fail("nested too deeply");
    node->children = std::move(children);
    return node;
  }

  template <class... Children>
  NodePtr make_of(Node::Kind kind, std::string name, Children... children) const {
    std::vector<NodePtr> list;
    (list.push_back(std::move(children)), ...);
    return make(kind, std::move(name), std::move(list));
  }

  struct Nesting {
    explicit Nesting(Parser& parser) : parser_(parser) {
      if (++parser_.nesting_ > kMaxDepth) parser_.fail("nested too deeply");
    }
    ~Nesting() { --parser_.nesting_; }
    Parser& parser_;
  };

  NodePtr conditional() {
    Nesting nesting(*this);
    NodePtr condition = logical("||", Node::Kind::Or);
    if (!take("?")) return condition;
    NodePtr yes = conditional();
    expect(":");
    NodePtr no = conditional();
    return make_of(Node::Kind::Conditional, "", std::move(condition), std::move(yes), std::move(no));
  }

  NodePtr logical(std::string_view token, Node::Kind kind) {
    std::vector<NodePtr> parts;
    do {
      parts.push_back(kind == Node::Kind::Or ? logical("&&", Node::Kind::And) : relation());
    } while (take(token));
    if (parts.size() == 1) return std::move(parts[0]);
    return make(kind, "", std::move(parts));
  }

  NodePtr relation() {
    NodePtr left = sum();
    for (;;) {
      std::string op;
      for (const std::string_view token : {"==", "!=", "<=", ">=", "<", ">"}) {
        if (take(token)) {
          op = token;
          break;
        }
      }
      if (op.empty() && take_word("in")) op = "in";
      if (op.empty()) return left;
      NodePtr right = sum();
      left = make_of(Node::Kind::Binary, op, std::move(left), std::move(right));
    }
  }

  bool take_word(std::string_view word) {
    skip_space();
    if (text_.substr(at_, word.size()) != word) return false;
    const size_t end = at_ + word.size();
    if (end < text_.size() && (is_name_start(text_[end]) || is_digit(text_[end]))) return false;
    at_ = end;
    return true;
  }

  NodePtr sum() {
    NodePtr left = product();
    for (;;) {
      std::string op;
      if (take("+"))
        op = "+";
      else if (take("-"))
        op = "-";
      else
        return left;
      NodePtr right = product();
      left = make_of(Node::Kind::Binary, op, std::move(left), std::move(right));
    }
  }

  NodePtr product() {
    NodePtr left = unary();
    for (;;) {
      std::string op;
      if (take("*"))
        op = "*";
      else if (take("/"))
        op = "/";
      else if (take("%"))
        op = "%";
      else
        return left;
      NodePtr right = unary();
      left = make_of(Node::Kind::Binary, op, std::move(left), std::move(right));
    }
  }

  NodePtr unary() {
    Nesting nesting(*this);
    skip_space();
    if (at_ < text_.size() && text_[at_] == '!' && text_.substr(at_, 2) != "!=") {
      ++at_;
      return make_of(Node::Kind::Not, "", unary());
    }
    if (take("-")) {
      skip_space();
      // A literal of its own, so that the smallest integer can be written.
      if (at_ < text_.size() && is_digit(text_[at_])) return suffixes(number(true));
      return make_of(Node::Kind::Negate, "", unary());
    }
    return suffixes(primary());
  }

  NodePtr suffixes(NodePtr node) {
    for (;;) {
      if (take(".")) {
        std::string name = identifier();
        if (take("(")) {
          std::vector<NodePtr> children;
          children.push_back(std::move(node));
          arguments(children, ")");
          node = make(Node::Kind::Call, std::move(name), std::move(children));
          node->is_method = true;
        } else {
          node = make_of(Node::Kind::Member, std::move(name), std::move(node));
        }
      } else if (take("[")) {
        NodePtr index = conditional();
        expect("]");
        node = make_of(Node::Kind::Index, "", std::move(node), std::move(index));
      } else {
        return node;
      }
    }
  }

  void arguments(std::vector<NodePtr>& into, std::string_view end) {
    if (take(end)) return;
    for (;;) {
      into.push_back(conditional());
      if (take(end)) return;
      expect(",");
      if (end != ")" && take(end)) return;
    }
  }

  std::string identifier() {
    skip_space();
    const size_t begin = at_;
    if (at_ >= text_.size() || !is_name_start(text_[at_])) fail("expected a name");
    while (at_ < text_.size() && (is_name_start(text_[at_]) || is_digit(text_[at_]))) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  NodePtr literal(json::value value) const {
    NodePtr node = make(Node::Kind::Literal, "", {});
    node->literal = std::move(value);
    return node;
  }

  NodePtr primary() {
    skip_space();
    if (at_ >= text_.size()) fail("the expression ends too early");
    const char c = text_[at_];
    if (c == '(') {
      ++at_;
      NodePtr node = conditional();
      expect(")");
      return node;
    }
    if (c == '[') {
      ++at_;
      std::vector<NodePtr> items;
      arguments(items, "]");
      return make(Node::Kind::List, "", std::move(items));
    }
    if (c == '{') return map();
    if (c == '\'' || c == '"') return literal(json::value(string(false)));
    if ((c == 'r' || c == 'R') && at_ + 1 < text_.size() && (text_[at_ + 1] == '\'' || text_[at_ + 1] == '"')) {
      ++at_;
      return literal(json::value(string(true)));
    }
    if (is_digit(c) || (c == '.' && at_ + 1 < text_.size() && is_digit(text_[at_ + 1]))) return number(false);
    if (!is_name_start(c)) fail(fmt::format("unexpected '{}'", c));
    std::string name = identifier();
    if (name == "true") return literal(true);
    if (name == "false") return literal(false);
    if (name == "null") return literal(nullptr);
    if (!take("(")) return make(Node::Kind::Name, std::move(name), {});
    std::vector<NodePtr> children;
    arguments(children, ")");
    return make(Node::Kind::Call, std::move(name), std::move(children));
  }

  NodePtr map() {
    ++at_;
    std::vector<NodePtr> parts;
    if (!take("}")) {
      for (;;) {
        parts.push_back(conditional());
        expect(":");
        parts.push_back(conditional());
        if (take("}")) break;
        expect(",");
      }
    }
    return make(Node::Kind::Map, "", std::move(parts));
  }

  NodePtr number(bool negative) {
    const size_t begin = at_;
    bool whole = true;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      const bool sign = (c == '+' || c == '-') && (text_[at_ - 1] == 'e' || text_[at_ - 1] == 'E') && at_ > begin;
      if (c == '.' || c == 'e' || c == 'E') whole = false;
      if (!is_digit(c) && c != '.' && c != 'e' && c != 'E' && !sign) break;
      ++at_;
    }
    const std::string digits = (negative ? "-" : "") + std::string(text_.substr(begin, at_ - begin));
    if (at_ < text_.size() && text_[at_] == 'u' && whole) ++at_;
    if (whole) {
      int64_t value = 0;
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
      if (error == std::errc{} && end == digits.data() + digits.size()) return literal(value);
      fail("the integer is too large");
    }
    char* end = nullptr;
    const double value = std::strtod(digits.c_str(), &end);
    if (*end != 0) fail("not a number");
    return literal(value);
  }

  std::string string(bool raw) {
    const char quote = text_[at_];
    const bool triple = text_.substr(at_, 3) == std::string(3, quote);
    at_ += triple ? 3 : 1;
    std::string value;
    for (;;) {
      if (at_ >= text_.size()) fail("the string does not end");
      const char c = text_[at_];
      if (c == quote && (!triple || text_.substr(at_, 3) == std::string(3, quote))) {
        at_ += triple ? 3 : 1;
        return value;
      }
      ++at_;
      if (c == '\\' && !raw) {
        escape(value);
      } else {
        value += c;
      }
    }
  }

  void escape(std::string& value) {
    if (at_ >= text_.size()) fail("the string does not end");
    const char c = text_[at_++];
    switch (c) {
      case 'n': value += '\n'; return;
      case 't': value += '\t'; return;
      case 'r': value += '\r'; return;
      case 'a': value += '\a'; return;
      case 'b': value += '\b'; return;
      case 'f': value += '\f'; return;
      case 'v': value += '\v'; return;
      case 'x': append_code_point(value, 2); return;
      case 'u': append_code_point(value, 4); return;
      case 'U': append_code_point(value, 8); return;
      case '\\':
      case '\'':
      case '"':
      case '`':
      case '?': value += c; return;
      default: fail(fmt::format("unknown escape '\\{}'", c));
    }
  }

  void append_code_point(std::string& value, size_t digits) {
    uint32_t code = 0;
    const std::string_view hex = text_.substr(at_, digits);
    const auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), code, 16);
    if (hex.size() != digits || error != std::errc{} || end != hex.data() + digits || code > 0x10FFFF ||
        (code >= 0xD800 && code < 0xE000)) {
      fail("not a character's code");
    }
    at_ += digits;
    if (code < 0x80) {
      value += static_cast<char>(code);
    } else if (code < 0x800) {
      value += static_cast<char>(0xC0 | (code >> 6));
      value += static_cast<char>(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
      value += static_cast<char>(0xE0 | (code >> 12));
      value += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
      value += static_cast<char>(0x80 | (code & 0x3F));
    } else {
      value += static_cast<char>(0xF0 | (code >> 18));
      value += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
      value += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
      value += static_cast<char>(0x80 | (code & 0x3F));
    }
  }

  std::string_view text_;
  size_t at_ = 0;
  int nesting_ = 0;
};

}  // namespace

std::unique_ptr<Node> parse_expression(std::string_view text) { return Parser(text).parse(); }

}  // namespace penstock::cel
