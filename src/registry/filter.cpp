#include "registry/filter.h"

#include <charconv>
#include <optional>

#include "base/utf8.h"

namespace penstock::registry {

namespace {

constexpr size_t kMaxText = 8192;
constexpr int kMaxDepth = 50;
constexpr size_t kMaxComparisons = 100;  // SQLite's expressions have a depth, too

enum class Token { End, Word, Quoted, Text, Number, Operator, Open, Close, Dot, Comma };

bool equal_words(std::string_view a, std::string_view upper) {
  return a.size() == upper.size() && std::equal(a.begin(), a.end(), upper.begin(), [](char x, char y) {
           return (x >= 'a' && x <= 'z' ? static_cast<char>(x - 32) : x) == y;
         });
}

// A LIKE pattern as a GLOB one: SQLite's LIKE does not tell cases apart, its GLOB does.
std::string as_glob(std::string_view like) {
  std::string out;
  for (const char c : like) {
    if (c == '%') {
      out += '*';
    } else if (c == '_') {
      out += '?';
    } else if (c == '*' || c == '?' || c == '[') {
      out += {'[', c, ']'};
    } else {
      out += c;
    }
  }
  return out;
}

class Parser {
 public:
  Parser(Kind kind, std::string_view text) : kind_(kind), text_(text) { next(); }

  Filter parse() {
    disjunction(0);
    if (token_ != Token::End) fail("expected AND, OR or the end");
    return std::move(out_);
  }

 private:
  [[noreturn]] void fail(std::string_view why) const {
    throw Error(Code::InvalidArgument, fmt::format("filterQuery: {} at position {}", why, start_ + 1), "filterQuery");
  }

  void next() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
    start_ = at_;
    value_.clear();
    if (at_ == text_.size()) {
      token_ = Token::End;
      return;
    }
    const char c = text_[at_];
    if (c == '\'' || c == '"' || c == '`') return quoted(c);
    if (std::isalpha(static_cast<unsigned char>(c)) || c == '_') return word();
    if (std::isdigit(static_cast<unsigned char>(c)) || c == '-' || c == '+') return number();
    ++at_;
    if (c == '.' && at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_]))) {
      --at_;
      return number();
    }
    if (c == '(' || c == ')' || c == '.' || c == ',') {
      token_ = c == '(' ? Token::Open : c == ')' ? Token::Close : c == '.' ? Token::Dot : Token::Comma;
      return;
    }
    token_ = Token::Operator;
    value_ = c;
    const char after = at_ < text_.size() ? text_[at_] : '\0';
    if ((after == '=' && (c == '!' || c == '<' || c == '>')) || (c == '<' && after == '>')) value_ += text_[at_++];
    if (value_ != "=" && value_ != "!=" && value_ != "<>" && value_ != "<" && value_ != ">" && value_ != "<=" &&
        value_ != ">=") {
      fail(fmt::format("{:?} is no operator", value_));
    }
  }

  void quoted(char quote) {
    token_ = quote == '`' ? Token::Quoted : Token::Text;
    for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      value_ += text_[at_];
    }
    if (at_ == text_.size()) fail("a quote is not closed");
    ++at_;
  }

  void word() {
    token_ = Token::Word;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_')) {
      value_ += text_[at_++];
    }
  }

  void number() {
    token_ = Token::Number;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '.' ||
                                  text_[at_] == '-' || text_[at_] == '+')) {
      value_ += text_[at_++];
    }
  }

  bool is_word(std::string_view upper) const { return token_ == Token::Word && equal_words(value_, upper); }

  void disjunction(int depth) {
    if (depth > kMaxDepth) fail("too deeply nested");
    conjunction(depth);
    while (is_word("OR")) {
      next();
      out_.sql += " OR ";
      conjunction(depth);
    }
  }

  void conjunction(int depth) {
    term(depth);
    while (is_word("AND")) {
      next();
      out_.sql += " AND ";
      term(depth);
    }
  }

  void term(int depth) {
    if (token_ != Token::Open) return comparison();
    next();
    out_.sql += '(';
    disjunction(depth + 1);
    if (token_ != Token::Close) fail("expected )");
    out_.sql += ')';
    next();
  }

  struct Literal {
    SqlValue value;
    enum class Type { Text, Integer, Real, Bool } type = Type::Text;
  };

  Literal literal() {
    Literal out;
    if (token_ == Token::Text) {
      out.value = value_;
    } else if (is_word("TRUE") || is_word("FALSE")) {
      out = {int64_t{is_word("TRUE")}, Literal::Type::Bool};
    } else if (token_ == Token::Number) {
      out = read_number();
    } else {
      fail("expected a text in quotes, a number, true or false");
    }
    next();
    return out;
  }

  Literal read_number() const {
    std::string_view text = value_;
    if (text.starts_with('+')) text.remove_prefix(1);
    int64_t whole = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
    if (error == std::errc() && end == text.data() + text.size()) return {whole, Literal::Type::Integer};
    double real = 0;
    const auto [stop, wrong] = std::from_chars(text.data(), text.data() + text.size(), real);
    if (wrong != std::errc() || stop != text.data() + text.size()) fail(fmt::format("{:?} is no number", value_));
    return {real, Literal::Type::Real};
  }

  void comparison() {
    if (++comparisons_ > kMaxComparisons) fail("too many comparisons");
    if (token_ != Token::Word && token_ != Token::Quoted) fail("expected the name of a field or property");
    const bool plain = token_ == Token::Word;
    const std::string name = value_;
    next();
    std::string type;
    if (token_ == Token::Dot) {
      next();
      type = value_;
      if (type != "string_value" && type != "double_value" && type != "int_value" && type != "bool_value") {
        fail("expected string_value, double_value, int_value or bool_value");
      }
      next();
    }
    const std::string op = read_operator();
    std::vector<Literal> values;
    if (op == "IN") {
      if (token_ != Token::Open) fail("expected (");
      do {
        next();
        values.push_back(literal());
      } while (token_ == Token::Comma);
      if (token_ != Token::Close) fail("expected )");
      next();
    } else {
      values.push_back(literal());
    }
    const std::optional<std::string> column = plain ? column_of(name) : std::nullopt;
    if (column) {
      compare(*column, op, values);
    } else {
      property(name, type, op, values);
    }
  }

  std::string read_operator() {
    std::string op;
    if (token_ == Token::Operator) {
      op = value_ == "<>" ? "!=" : value_;
    } else if (is_word("LIKE") || is_word("ILIKE") || is_word("IN")) {
      op = is_word("LIKE") ? "LIKE" : is_word("IN") ? "IN" : "ILIKE";
    } else {
      fail("expected an operator");
    }
    next();
    return op;
  }

  // SQL of a field; nothing when the kind has no such field.
  std::optional<std::string> column_of(std::string_view name) const {
    if (name == "id") return "t.id";
    if (name == "name") return "t.name";
    if (name == "externalId") return "t.external_id";
    if (name == "createTimeSinceEpoch") return "t.created_at";
    if (name == "lastUpdateTimeSinceEpoch") return "t.updated_at";
    if (name == "description") return "json_extract(t.body, '$.description')";
    const Schema& schema = schema_of(kind_);
    if (!schema.parent.empty() && name == schema.parent) return "t.parent";
    if (kind_ == Kind::Artifact && name == "artifactType") return "t.type";
    // Names of fields are our own words: they may stand in SQL.
    const auto known = [&](const std::vector<Field>& fields) {
      return std::any_of(fields.begin(), fields.end(), [&](const Field& field) { return field.name == name; });
    };
    bool found = kind_ != Kind::Artifact && known(fields_of(kind_, ""));
    if (kind_ == Kind::Artifact) {
      for (const auto type : artifact_types()) found = found || known(fields_of(kind_, type));
    }
    if (!found) return std::nullopt;
    return fmt::format("json_extract(t.body, '$.{}')", name);
  }

  // Numbers in columns of numbers, which the JSON has as text, and texts the other way round, are converted.
  void compare(const std::string& column, const std::string& op, const std::vector<Literal>& values) {
    const bool numbers =
        column == "t.id" || column == "t.created_at" || column == "t.updated_at" || column == "t.parent";
    std::vector<SqlValue> bound;
    bool by_number = numbers;
    for (const Literal& one : values) {
      if (numbers && one.type == Literal::Type::Text) {
        int64_t number = 0;
        const std::string& text = std::get<std::string>(one.value);
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (error != std::errc() || end != text.data() + text.size()) fail(fmt::format("{:?} is no number", text));
        bound.emplace_back(number);
      } else {
        bound.push_back(one.value);
        by_number = by_number || one.type != Literal::Type::Text;
      }
    }
    const std::string left = by_number && !numbers ? fmt::format("CAST({} AS NUMERIC)", column) : column;
    emit(left, op, std::move(bound));
  }

  void emit(const std::string& left, const std::string& op, std::vector<SqlValue> values) {
    if (op == "LIKE" || op == "ILIKE") {
      if (!std::holds_alternative<std::string>(values[0])) fail("LIKE takes a text");
      const auto& pattern = std::get<std::string>(values[0]);
      out_.sql += fmt::format("{} {} ?", left, op == "LIKE" ? "GLOB" : "LIKE");
      out_.values.emplace_back(op == "LIKE" ? as_glob(pattern) : pattern);
      return;
    }
    if (op == "IN") {
      out_.sql += fmt::format("{} IN (", left);
      for (size_t i = 0; i < values.size(); ++i) out_.sql += i ? ", ?" : "?";
      out_.sql += ')';
    } else {
      out_.sql += fmt::format("{} {} ?", left, op);
    }
    for (auto& value : values) out_.values.push_back(std::move(value));
  }

  void property(const std::string& name, std::string type, const std::string& op, const std::vector<Literal>& values) {
    out_.sql += "EXISTS (SELECT 1 FROM json_each(t.custom) p WHERE p.key = ? AND ";
    out_.values.emplace_back(name);
    const Literal::Type literal = values[0].type;
    std::string left;
    if (type.empty() && (literal == Literal::Type::Integer || literal == Literal::Type::Real)) {
      left = "CAST(coalesce(json_extract(p.value, '$.double_value'), json_extract(p.value, '$.int_value')) AS NUMERIC)";
      // CAST makes 0 of what is not there.
      out_.sql +=
          "coalesce(json_extract(p.value, '$.double_value'), json_extract(p.value, '$.int_value')) IS NOT NULL AND ";
    } else {
      if (type.empty()) type = literal == Literal::Type::Bool ? "bool_value" : "string_value";
      left = fmt::format("json_extract(p.value, '$.{}')", type);
      if (type == "int_value") left = fmt::format("CAST({} AS INTEGER)", left);
      out_.sql += fmt::format("json_extract(p.value, '$.{}') IS NOT NULL AND ", type);
    }
    std::vector<SqlValue> bound;
    for (const Literal& one : values) bound.push_back(one.value);
    emit(left, op, std::move(bound));
    out_.sql += ')';
  }

  Kind kind_;
  std::string_view text_;
  size_t at_ = 0, start_ = 0, comparisons_ = 0;
  Token token_ = Token::End;
  std::string value_;
  Filter out_;
};

}  // namespace

Filter read_filter(Kind kind, std::string_view text) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return {};
  if (text.size() > kMaxText || text.find('\0') != std::string_view::npos) {
    throw Error(Code::InvalidArgument, fmt::format("filterQuery: is longer than {} bytes, or holds a NUL", kMaxText),
                "filterQuery");
  }
  return Parser(kind, text).parse();
}

}  // namespace penstock::registry
