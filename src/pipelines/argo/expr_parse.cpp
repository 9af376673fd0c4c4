// Expressions: from text to tree.
#include <charconv>
#include <cmath>

#include "pipelines/argo/expr_node.h"

namespace penstock::argo::expr {

namespace {

constexpr int kMaxDepth = 200;
constexpr size_t kMaxLength = 64 * 1024;

bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || c == '$'; }
bool is_part(char c) { return is_letter(c) || std::isdigit(static_cast<unsigned char>(c)); }

struct Operator {
  std::string_view text;
  int precedence;
  bool right = false;
};

// Longer ones before those that they begin with.
constexpr Operator kOperators[] = {{"||", 10}, {"&&", 15}, {"==", 20}, {"!=", 20},       {"<=", 20},  {">=", 20},
                                   {"<", 20},  {">", 20},  {"..", 25}, {"+", 30},        {"-", 30},   {"**", 100, true},
                                   {"*", 60},  {"/", 60},  {"%", 60},  {"^", 100, true}, {"??", 500}, {"|", 0}};
constexpr Operator kWords[] = {{"or", 10},       {"and", 15},        {"in", 20},      {"matches", 20},
                               {"contains", 20}, {"startsWith", 20}, {"endsWith", 20}};
constexpr int kNot = 50, kSign = 90;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  NodePtr run() {
    if (text_.size() > kMaxLength) throw invalid("the expression is longer than {} bytes", kMaxLength);
    space();
    NodePtr root = expression();
    if (at_ < text_.size()) fail("unexpected text");
    return root;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw invalid("column {}: {} at \"{}\"", at_ + 1, what, text_.substr(at_, 30));
  }

  // Comments too.
  void space() {
    for (;;) {
      while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
      const auto rest = text_.substr(at_);
      if (!rest.starts_with("//") && !rest.starts_with("/*")) return;
      const std::string_view closing = rest[1] == '/' ? "\n" : "*/";
      const size_t end = rest.find(closing, 2);
      if (end == std::string_view::npos && rest[1] == '*') fail("a comment is not closed");
      at_ = end == std::string_view::npos ? text_.size() : at_ + end + closing.size();
    }
  }

  bool sees(std::string_view token) const { return text_.substr(at_).starts_with(token); }

  bool take(std::string_view token) {
    if (!sees(token)) return false;
    at_ += token.size();
    space();
    return true;
  }

  void expect(std::string_view token) {
    if (!take(token)) fail(fmt::format("\"{}\" is missing", token));
  }

  bool sees_word(std::string_view word) const {
    const auto rest = text_.substr(at_);
    return rest.starts_with(word) && (rest.size() == word.size() || !is_part(rest[word.size()]));
  }

  bool take_word(std::string_view word) {
    if (!sees_word(word)) return false;
    at_ += word.size();
    space();
    return true;
  }

  std::string name() {
    const size_t begin = at_;
    if (at_ == text_.size() || !is_letter(text_[at_])) fail("a name is missing");
    while (at_ < text_.size() && is_part(text_[at_])) ++at_;
    std::string found(text_.substr(begin, at_ - begin));
    space();
    return found;
  }

  NodePtr make(Node node) {
    for (const auto& child : node.children) {
      if (child) node.depth = std::max(node.depth, child->depth + 1);
    }
    if (node.depth > kMaxDepth) fail("it is nested too deeply");
    return std::make_unique<const Node>(std::move(node));
  }

  template <class... Children>
  NodePtr make(Node::Kind kind, std::string text, Children... children) {
    Node node;
    node.kind = kind;
    node.text = std::move(text);
    (node.children.push_back(std::move(children)), ...);
    return make(std::move(node));
  }

  NodePtr literal(json::value value) {
    Node node;
    node.literal = std::move(value);
    return make(std::move(node));
  }

  NodePtr expression() {
    if (++nesting_ > kMaxDepth) fail("it is nested too deeply");
    NodePtr result;
    if (take_word("let")) {
      std::string variable = name();
      expect("=");
      NodePtr value = expression();
      expect(";");
      result = make(Node::Kind::Let, std::move(variable), std::move(value), expression());
    } else {
      result = binary(0);
      if (sees("?") && !sees("??") && take("?")) {
        NodePtr yes = expression();
        expect(":");
        result = make(Node::Kind::Conditional, "", std::move(result), std::move(yes), expression());
      }
    }
    --nesting_;
    return result;
  }

  const Operator* next_operator() const {
    for (const auto& op : kOperators) {
      if (sees(op.text)) return &op;
    }
    for (const auto& op : kWords) {
      if (sees_word(op.text)) return &op;
    }
    return nullptr;
  }

  // "not in" and its like.
  bool take_negation(int precedence) {
    const size_t before = at_;
    if (precedence > 20 || !take_word("not")) return false;
    const Operator* op = next_operator();
    if (op != nullptr && op->precedence == 20 && is_letter(op->text[0])) return true;
    at_ = before;
    return false;
  }

  NodePtr binary(int precedence) {
    if (++nesting_ > kMaxDepth) fail("it is nested too deeply");
    NodePtr left = unary();
    for (;;) {
      const bool negated = take_negation(precedence);
      const Operator* op = next_operator();
      if (op == nullptr || op->precedence < precedence) break;
      at_ += op->text.size();
      space();
      if (op->text == "|") {
        left = piped(std::move(left));
        continue;
      }
      std::string text(op->text);
      if (text == "or") text = "||";
      if (text == "and") text = "&&";
      if (text == "^") text = "**";
      NodePtr right = binary(op->right ? op->precedence : op->precedence + 1);
      left = make(Node::Kind::Binary, std::move(text), std::move(left), std::move(right));
      if (negated) left = make(Node::Kind::Unary, "!", std::move(left));
    }
    --nesting_;
    return left;
  }

  NodePtr piped(NodePtr first) {
    std::string function = name();
    if (function == "sprig" && take(".")) function += "." + name();
    expect("(");
    return postfix(call(std::move(function), std::move(first)));
  }

  NodePtr unary() {
    if (!sees("!=") && take("!")) return make(Node::Kind::Unary, "!", binary(kNot));
    if (take_word("not")) return make(Node::Kind::Unary, "!", binary(kNot));
    if (take("-")) return make(Node::Kind::Unary, "-", binary(kSign));
    if (take("+")) return make(Node::Kind::Unary, "+", binary(kSign));
    return postfix(primary());
  }

  NodePtr postfix(NodePtr of) {
    for (;;) {
      const bool optional = sees("?.");
      if (optional || (sees(".") && !sees(".."))) {
        take(optional ? "?." : ".");
        if (optional && take("[")) {
          of = index(std::move(of), true);
          continue;
        }
        of = member(std::move(of), optional);
      } else if (take("[")) {
        of = index(std::move(of), false);
      } else {
        return of;
      }
    }
  }

  NodePtr member(NodePtr of, bool optional) {
    const bool sprig = of->kind == Node::Kind::Name && of->text == "sprig";
    std::string called = name();
    if (take("(")) {
      if (!sprig) fail(fmt::format("{} is no function", called));
      return call("sprig." + called, nullptr);
    }
    if (sprig) fail("functions of sprig can only be called");
    Node node;
    node.kind = Node::Kind::Member;
    node.text = std::move(called);
    node.optional = optional;
    node.children.push_back(std::move(of));
    return make(std::move(node));
  }

  NodePtr index(NodePtr of, bool optional) {
    NodePtr from = sees(":") ? nullptr : expression();
    if (take(":")) {
      NodePtr to = sees("]") ? nullptr : expression();
      expect("]");
      return make(Node::Kind::Slice, "", std::move(of), std::move(from), std::move(to));
    }
    expect("]");
    Node node;
    node.kind = Node::Kind::Index;
    node.optional = optional;
    node.children.push_back(std::move(of));
    node.children.push_back(std::move(from));
    return make(std::move(node));
  }

  NodePtr primary() {
    if (at_ == text_.size()) fail("a value is missing");
    const char c = text_[at_];
    if (take("(")) {
      NodePtr inner = expression();
      expect(")");
      return inner;
    }
    if (take("[")) return list();
    if (take("{")) return map();
    if (c == '"' || c == '\'' || c == '`') return literal(json::value(quoted(c)));
    const bool fraction =
        c == '.' && at_ + 1 < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_ + 1]));
    if (std::isdigit(static_cast<unsigned char>(c)) || fraction) return number();
    if (c == '#') return pointer();
    // ".name" is of the closure's element.
    if (c == '.' && closures_ > 0) return make(Node::Kind::Element, "");
    std::string word = name();
    if (word == "true" || word == "false") return literal(word == "true");
    if (word == "nil" || word == "null") return literal(nullptr);
    if (take("(")) return call(std::move(word), nullptr);
    return make(Node::Kind::Name, std::move(word));
  }

  NodePtr pointer() {
    if (closures_ == 0) fail("# has no meaning outside of a closure");
    ++at_;
    std::string which;
    while (at_ < text_.size() && is_part(text_[at_])) which += text_[at_++];
    space();
    if (!which.empty() && which != "index" && which != "acc") fail(fmt::format("there is no #{}", which));
    return make(Node::Kind::Element, std::move(which));
  }

  // `first`: what was piped into it.
  NodePtr call(std::string function, NodePtr first) {
    Node node;
    const bool closure = is_closure(function);
    if (first) node.children.push_back(std::move(first));
    const size_t before = node.children.size();
    while (!take(")")) {
      if (node.children.size() > before) expect(",");
      node.children.push_back(closure && node.children.size() == 1 ? closure_body() : expression());
      if (!sees(")") && !sees(",")) fail("\")\" is missing");
      if (node.children.size() > 64) fail("there are too many arguments");
    }
    return finish_call(std::move(node), std::move(function));
  }

  NodePtr finish_call(Node node, std::string function) {
    const size_t count = node.children.size();
    if (is_closure(function) && count >= 2) {
      if (count > (function == "reduce" ? 3u : 2u)) fail(fmt::format("{}: there are too many arguments", function));
      node.kind = Node::Kind::Closure;
      node.text = std::move(function);
      return make(std::move(node));
    }
    node.kind = Node::Kind::Call;
    node.function = find_function(function);
    if (node.function == nullptr) fail(fmt::format("there is no function {}", function));
    if (count < node.function->least || count > node.function->most) {
      fail(fmt::format("{} takes {} arguments, not {}", function,
                       node.function->least == node.function->most
                           ? std::to_string(node.function->least)
                           : fmt::format("{} to {}", node.function->least, node.function->most),
                       count));
    }
    node.text = std::move(function);
    return make(std::move(node));
  }

  NodePtr closure_body() {
    ++closures_;
    const bool braces = take("{");
    NodePtr body = expression();
    if (braces) expect("}");
    --closures_;
    return body;
  }

  NodePtr list() {
    Node node;
    node.kind = Node::Kind::List;
    while (!take("]")) {
      if (!node.children.empty()) {
        expect(",");
        if (take("]")) break;
      }
      node.children.push_back(expression());
    }
    return make(std::move(node));
  }

  NodePtr map() {
    Node node;
    node.kind = Node::Kind::Map;
    while (!take("}")) {
      if (!node.children.empty()) {
        expect(",");
        if (take("}")) break;
      }
      node.children.push_back(key());
      expect(":");
      node.children.push_back(expression());
    }
    return make(std::move(node));
  }

  NodePtr key() {
    if (take("(")) {
      NodePtr inner = expression();
      expect(")");
      return inner;
    }
    if (at_ < text_.size() && (text_[at_] == '"' || text_[at_] == '\''))
      return literal(json::value(quoted(text_[at_])));
    if (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_]))) {
      return literal(json::value(to_word(number()->literal)));
    }
    return literal(json::value(name()));
  }

  NodePtr number() {
    std::string digits;
    size_t end = at_;
    const bool based =
        text_[at_] == '0' && at_ + 1 < text_.size() && std::isalpha(static_cast<unsigned char>(text_[at_ + 1]));
    bool whole = true;
    for (; end < text_.size(); ++end) {
      const char c = text_[end];
      const bool exponent = !based && (c == 'e' || c == 'E');
      const bool sign =
          !based && (c == '-' || c == '+') && !digits.empty() && (digits.back() == 'e' || digits.back() == 'E');
      const bool point = c == '.' && !based && !text_.substr(end).starts_with("..");
      if (c == '_') continue;
      if (!std::isalnum(static_cast<unsigned char>(c)) && !sign && !point) break;
      whole &= !exponent && !point;
      digits += c;
    }
    const json::value value = whole ? integer(digits) : floating(digits);
    at_ = end;
    space();
    return literal(value);
  }

  json::value integer(std::string_view digits) {
    int base = 10;
    if (digits.starts_with("0x") || digits.starts_with("0X")) base = 16;
    if (digits.starts_with("0o") || digits.starts_with("0O")) base = 8;
    if (digits.starts_with("0b") || digits.starts_with("0B")) base = 2;
    if (base != 10) digits.remove_prefix(2);
    int64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (error != std::errc{} || end != digits.data() + digits.size()) fail("a number cannot be read");
    return value;
  }

  json::value floating(const std::string& digits) {
    char* end = nullptr;
    const double value = std::strtod(digits.c_str(), &end);
    if (*end != 0 || !std::isfinite(value)) fail("a number cannot be read");
    return value;
  }

  std::string quoted(char quote) {
    std::string value;
    for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
      if (text_[at_] == '\\' && quote != '`') {
        if (++at_ == text_.size()) break;
        escape(value);
      } else {
        value += text_[at_];
      }
    }
    if (at_ >= text_.size()) fail("a closing quote is missing");
    ++at_;
    space();
    return value;
  }

  void escape(std::string& value) {
    const char c = text_[at_];
    constexpr std::string_view kFrom = "abfnrtv", kTo = "\a\b\f\n\r\t\v";
    if (const size_t which = kFrom.find(c); which != std::string_view::npos) {
      value += kTo[which];
    } else if (c == 'u' || c == 'x') {
      const size_t size = c == 'u' ? 4 : 2;
      const auto digits = text_.substr(at_ + 1, size);
      uint32_t code = 0;
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
      if (digits.size() != size || error != std::errc{} || end != digits.data() + size)
        fail("an escape cannot be read");
      if (code >= 0xD800 && code < 0xE000) fail("half a character");
      append_utf8(value, code);
      at_ += size;
    } else {
      value += c;
    }
  }

  static void append_utf8(std::string& value, uint32_t code) {
    if (code < 0x80) {
      value += static_cast<char>(code);
    } else if (code < 0x800) {
      value += static_cast<char>(0xC0 | (code >> 6));
      value += static_cast<char>(0x80 | (code & 0x3F));
    } else {
      value += static_cast<char>(0xE0 | (code >> 12));
      value += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
      value += static_cast<char>(0x80 | (code & 0x3F));
    }
  }

  std::string_view text_;
  size_t at_ = 0;
  int nesting_ = 0;
  int closures_ = 0;
};

}  // namespace

bool is_closure(std::string_view name) {
  for (const std::string_view one : {"all", "any", "one", "none", "map", "filter", "find", "findIndex", "findLast",
                                     "findLastIndex", "count", "sum", "groupBy", "sortBy", "reduce"}) {
    if (name == one) return true;
  }
  return false;
}

NodePtr parse_tree(std::string_view text) { return Parser(text).run(); }

}  // namespace penstock::argo::expr
