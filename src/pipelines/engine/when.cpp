#include "pipelines/engine/when.h"

#include <cmath>
#include <string>
#include <vector>

#include <re2/re2.h>

#include "base/error.h"
#include "base/json.h"

namespace penstock::engine {

namespace {

constexpr int kMaxNesting = 100;

std::optional<double> number_of(const json::value& value) {
  if (value.is_number()) return value.to_number<double>();
  if (!value.is_string()) return std::nullopt;
  const std::string text = to_std(value.get_string());
  if (text.empty() || std::isspace(static_cast<unsigned char>(text[0]))) return std::nullopt;
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  return *end == 0 && std::isfinite(number) ? std::optional(number) : std::nullopt;
}

std::string words(const json::value& value) {
  return value.is_string()   ? to_std(value.get_string())
         : value.is_double() ? number_text(value.get_double())
                             : to_text(value);
}

bool equal(const json::value& left, const json::value& right) {
  if (left.is_number() || right.is_number()) {
    const auto a = number_of(left), b = number_of(right);
    if (a && b) return *a == *b;
  }
  return words(left) == words(right);
}

int compare(const json::value& left, const json::value& right) {
  const auto a = number_of(left), b = number_of(right);
  if (a && b) return *a < *b ? -1 : *a > *b ? 1 : 0;
  return words(left).compare(words(right));
}

bool matches(const json::value& left, const json::value& right) {
  RE2::Options options;
  options.set_log_errors(false);
  const RE2 expression(words(right), options);
  if (!expression.ok()) throw invalid("\"{}\" is no regular expression: {}", words(right), expression.error());
  return RE2::PartialMatch(words(left), expression);
}

class WhenParser {
 public:
  explicit WhenParser(std::string_view text) : text_(text) { space(); }

  bool run() {
    const json::value value = either();
    if (at_ < text_.size()) fail("unexpected text");
    return truth(value);
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw invalid("the condition \"{}\" cannot be read: {} at \"{}\"{}", text_.substr(0, 200), what,
                  text_.substr(at_, 40),
                  what == "unexpected text" ? "; put texts with blanks or other characters in quotes" : "");
  }

  static bool truth(const json::value& value) {
    if (value.is_bool()) return value.get_bool();
    if (value.is_string() && (value.get_string() == "true" || value.get_string() == "false")) {
      return value.get_string() == "true";
    }
    throw invalid("the condition gives {}, neither true nor false", to_text(value).substr(0, 80));
  }

  void space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }

  bool take(std::string_view token) {
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    space();
    return true;
  }

  json::value either() {
    json::value left = both();
    while (take("||")) {
      const json::value right = both();
      left = truth(left) || truth(right);
    }
    return left;
  }

  json::value both() {
    json::value left = comparison();
    while (take("&&")) {
      const json::value right = comparison();
      left = truth(left) && truth(right);
    }
    return left;
  }

  json::value comparison() {
    json::value left = sum();
    for (;;) {
      if (take("=="))
        left = equal(left, sum());
      else if (take("!="))
        left = !equal(left, sum());
      else if (take("=~"))
        left = matches(left, sum());
      else if (take("!~"))
        left = !matches(left, sum());
      else if (take("<="))
        left = compare(left, sum()) <= 0;
      else if (take(">="))
        left = compare(left, sum()) >= 0;
      else if (take("<"))
        left = compare(left, sum()) < 0;
      else if (take(">"))
        left = compare(left, sum()) > 0;
      else if (take_word("in"))
        left = is_in(left);
      else
        return left;
    }
  }

  bool take_word(std::string_view word) {
    const std::string_view rest = text_.substr(at_);
    if (!rest.starts_with(word)) return false;
    const char next = rest.size() > word.size() ? rest[word.size()] : ' ';
    if (next != ' ' && next != '(') return false;
    at_ += word.size();
    space();
    return true;
  }

  bool is_in(const json::value& left) {
    if (!take("(")) fail("a list in parentheses is missing");
    bool found = false;
    do {
      if (take(")")) return found;
      found |= equal(left, either());
    } while (take(","));
    if (!take(")")) fail("a closing parenthesis is missing");
    return found;
  }

  static double number(const json::value& value, char op) {
    const auto found = number_of(value);
    if (!found) {
      throw invalid("'{}' does not work on \"{}\"; put texts with such characters in quotes", op, words(value));
    }
    return *found;
  }

  json::value sum() {
    json::value left = product();
    for (;;) {
      if (take("+")) {
        const json::value right = product();
        if (number_of(left) && number_of(right)) {
          left = number(left, '+') + number(right, '+');
        } else {
          left = words(left) + words(right);
        }
      } else if (take("-")) {
        left = number(left, '-') - number(product(), '-');
      } else {
        return left;
      }
    }
  }

  json::value product() {
    json::value left = unary();
    for (;;) {
      if (take("*")) {
        left = number(left, '*') * number(unary(), '*');
      } else if (take("/")) {
        left = number(left, '/') / number(unary(), '/');
      } else if (take("%")) {
        left = std::fmod(number(left, '%'), number(unary(), '%'));
      } else {
        return left;
      }
    }
  }

  json::value unary() {
    if (++depth_ > kMaxNesting) fail("it is nested too deeply");
    json::value result;
    if (text_.substr(at_).starts_with("!") && !text_.substr(at_).starts_with("!=") &&
        !text_.substr(at_).starts_with("!~")) {
      take("!");
      result = !truth(unary());
    } else if (take("-")) {
      result = -number(unary(), '-');
    } else if (take("(")) {
      result = either();
      if (!take(")")) fail("a closing parenthesis is missing");
    } else {
      result = literal();
    }
    --depth_;
    return result;
  }

  json::value literal() {
    if (at_ == text_.size()) fail("a value is missing");
    const char quote = text_[at_];
    if (quote == '"' || quote == '\'') return quoted(quote);
    const size_t begin = at_;
    constexpr std::string_view kEnds = " \t\r\n()!=<>&|,\"'+-*/%~";
    while (at_ < text_.size() && kEnds.find(text_[at_]) == std::string_view::npos) ++at_;
    // The sign of an exponent.
    const std::string word(text_.substr(begin, at_ - begin));
    if (word.empty()) fail("a value is missing");
    space();
    if (word == "true") return true;
    if (word == "false") return false;
    const json::value text(word);
    if (const auto number = number_of(text);
        number && (std::isdigit(static_cast<unsigned char>(word[0])) || word[0] == '.')) {
      return *number;
    }
    return text;
  }

  json::value quoted(char quote) {
    std::string text;
    for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      text += text_[at_];
    }
    if (at_ == text_.size()) fail("a closing quote is missing");
    ++at_;
    space();
    return json::value(text);
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

bool holds(std::string_view condition) { return WhenParser(condition).run(); }

}  // namespace penstock::engine
