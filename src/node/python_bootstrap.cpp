#include "node/python_bootstrap.h"

#include <algorithm>
#include <span>

namespace penstock::node {
namespace {

struct Token {
  enum class Kind { kWord, kAnd, kOr, kEnd, kOpen, kClose };  // kEnd: a newline or ;
  Kind kind = Kind::kWord;
  std::string text;      // a word without its quotes
  std::string raw;       // a word as it is written
  bool dynamic = false;  // the shell would expand something in it
};
using Tokens = std::vector<Token>;

// Splits the part of the shell language that the SDKs use. Anything else, a redirection for instance, gives nothing.
class Lexer {
 public:
  explicit Lexer(std::string_view script) : script_(script) {}

  std::optional<Tokens> run() {
    while (at_ < script_.size()) {
      const char c = script_[at_];
      if (c == ' ' || c == '\t') {
        ++at_;
      } else if (c == '\\' && peek(1) == '\n') {
        at_ += 2;
      } else if (!(is_operator(c) ? read_operator() : read_word())) {
        return std::nullopt;
      }
    }
    return std::move(tokens_);
  }

 private:
  char peek(size_t ahead) const { return at_ + ahead < script_.size() ? script_[at_ + ahead] : '\0'; }
  static bool is_operator(char c) { return std::string_view("\n;&|()<>#").find(c) != std::string_view::npos; }

  bool read_operator() {
    using Kind = Token::Kind;
    const char c = script_[at_];
    const bool twice = peek(1) == c;
    if ((c == '&' || c == '|') && !twice) return false;
    if (c == '<' || c == '>' || c == '#') return false;
    Token token;
    token.kind = c == '&'   ? Kind::kAnd
                 : c == '|' ? Kind::kOr
                 : c == '(' ? Kind::kOpen
                 : c == ')' ? Kind::kClose
                            : Kind::kEnd;
    at_ += c == '&' || c == '|' ? 2 : 1;
    tokens_.push_back(std::move(token));
    return true;
  }

  bool read_word() {
    Token token;
    const size_t begin = at_;
    while (at_ < script_.size()) {
      const char c = script_[at_];
      if (c == ' ' || c == '\t' || (c != '#' && is_operator(c))) break;
      if (c == '\'') {
        if (!read_single_quotes(token)) return false;
      } else if (c == '"') {
        if (!read_double_quotes(token)) return false;
      } else if (c == '$' || c == '`' || c == '*' || c == '?' || c == '~' || c == '{') {
        if (!read_expansion(token)) return false;
      } else if (c == '\\') {
        if (at_ + 1 >= script_.size()) return false;
        if (script_[at_ + 1] != '\n') token.text += script_[at_ + 1];
        at_ += 2;
      } else {
        token.text += c;
        ++at_;
      }
    }
    token.raw = script_.substr(begin, at_ - begin);
    tokens_.push_back(std::move(token));
    return true;
  }

  bool read_single_quotes(Token& token) {
    const size_t end = script_.find('\'', at_ + 1);
    if (end == std::string_view::npos) return false;
    token.text += script_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return true;
  }

  bool read_double_quotes(Token& token) {
    for (++at_; at_ < script_.size(); ++at_) {
      const char c = script_[at_];
      if (c == '"') {
        ++at_;
        return true;
      }
      if (c == '$' || c == '`') token.dynamic = true;
      if (c == '\\') {
        // Only these lose their backslash inside double quotes.
        if (std::string_view("$`\"\\").find(peek(1)) != std::string_view::npos && peek(1) != '\0') ++at_;
      }
      token.text += script_[at_];
    }
    return false;
  }

  // A $(…) is taken whole, since it may hold blanks.
  bool read_expansion(Token& token) {
    token.dynamic = true;
    size_t length = 1;
    if (script_[at_] == '$' && peek(1) == '(') {
      const size_t end = script_.find(')', at_);
      if (end == std::string_view::npos) return false;
      length = end + 1 - at_;
    }
    token.text += script_.substr(at_, length);
    at_ += length;
    return true;
  }

  std::string_view script_;
  size_t at_ = 0;
  Tokens tokens_;
};

bool one_of(std::string_view text, std::initializer_list<std::string_view> choices) {
  return std::find(choices.begin(), choices.end(), text) != choices.end();
}

// pip install's options: those without a meaning for what ends up installed are left out of the environment's name.
enum class OptionUse { kKeepFlag, kKeepValue, kDropFlag, kDropValue, kUnknown };

OptionUse option_use(std::string_view name) {
  if (one_of(name, {"--no-deps", "--pre", "--no-index", "--prefer-binary", "--upgrade", "-U", "--force-reinstall",
                    "--ignore-installed", "-I", "--no-build-isolation", "--use-pep517", "--ignore-requires-python",
                    "--require-hashes"})) {
    return OptionUse::kKeepFlag;
  }
  if (one_of(name, {"--index-url", "-i", "--extra-index-url", "--trusted-host", "--find-links", "-f", "--only-binary",
                    "--no-binary", "--upgrade-strategy", "--proxy", "--cert", "--client-cert", "--timeout", "--retries",
                    "--use-feature", "--use-deprecated", "--config-settings", "-C"})) {
    return OptionUse::kKeepValue;
  }
  if (one_of(name, {"--quiet", "-q", "-qq", "-qqq", "--verbose", "-v", "--no-warn-script-location", "--user",
                    "--disable-pip-version-check", "--no-input", "--no-cache-dir", "--break-system-packages",
                    "--no-warn-conflicts", "--no-color", "--compile", "--no-compile", "--no-python-version-warning"})) {
    return OptionUse::kDropFlag;
  }
  if (one_of(name, {"--root-user-action", "--progress-bar", "--cache-dir", "--log"})) return OptionUse::kDropValue;
  return OptionUse::kUnknown;
}

// What a requirement names: "scikit-learn[all]>=1.0" is "scikit-learn".
std::string_view requirement_name(std::string_view requirement) {
  const size_t end = requirement.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
  return requirement.substr(0, end);
}

// A local path means something else in the step than here, and can change without changing its name.
bool is_local_path(std::string_view requirement) {
  return requirement.starts_with('.') || requirement.starts_with('/') || requirement.starts_with("file:") ||
         requirement.find("@ file:") != std::string_view::npos ||
         (requirement.find('/') != std::string_view::npos && requirement.find(':') == std::string_view::npos);
}

// The words after `pip install`.
std::optional<PipInstall> parse_install(std::span<const Token> words) {
  PipInstall install;
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i].dynamic || words[i].text.empty()) return std::nullopt;
    const std::string& word = words[i].text;
    if (word[0] != '-') {
      if (is_local_path(word)) return std::nullopt;
      install.requirements.push_back(word);
      continue;
    }
    const size_t equals = word.starts_with("--") ? word.find('=') : std::string::npos;
    const OptionUse use = option_use(std::string_view(word).substr(0, equals));
    const bool valued = use == OptionUse::kKeepValue || use == OptionUse::kDropValue;
    if (use == OptionUse::kUnknown || (!valued && equals != std::string::npos)) return std::nullopt;
    std::string value;
    if (valued && equals != std::string::npos) {
      value = word.substr(equals + 1);
    } else if (valued) {
      if (++i >= words.size() || words[i].dynamic) return std::nullopt;
      value = words[i].text;
    }
    if (use == OptionUse::kKeepFlag || use == OptionUse::kKeepValue) install.options.push_back(word.substr(0, equals));
    if (use == OptionUse::kKeepValue) install.options.push_back(std::move(value));
  }
  if (install.requirements.empty()) return std::nullopt;
  return install;
}

bool is_assignment_without_effect(std::string_view word) {
  return word.starts_with("PIP_DISABLE_PIP_VERSION_CHECK=") || word.starts_with("PIP_NO_INPUT=") ||
         word.starts_with("PIP_ROOT_USER_ACTION=") || word.starts_with("PIP_NO_CACHE_DIR=");
}

enum class StatementKind { kInstall, kNothing, kExec, kUnknown };

// One simple command.
StatementKind parse_statement(std::span<const Token> words, PipInstall& install) {
  auto raw_is = [&](std::initializer_list<std::string_view> expected) {
    return std::equal(words.begin(), words.end(), expected.begin(), expected.end(),
                      [](const Token& word, std::string_view text) { return word.raw == text; });
  };
  if (raw_is({"\"$0\"", "\"$@\""})) return StatementKind::kExec;
  // A venv of the step's own: every environment is one.
  if (raw_is({"tmp=$(mktemp -d)"}) || raw_is({".", "\"$tmp/venv/bin/activate\""}) ||
      raw_is({"python3", "-m", "venv", "\"$tmp/venv\"", "--system-site-packages"})) {
    return StatementKind::kNothing;
  }
  if (words.size() == 2 && words[0].raw == "export" && is_assignment_without_effect(words[1].text)) {
    return StatementKind::kNothing;
  }
  while (!words.empty() && is_assignment_without_effect(words[0].text)) words = words.subspan(1);
  auto starts = [&](std::initializer_list<std::string_view> expected) {
    if (words.size() < expected.size()) return false;
    return std::equal(expected.begin(), expected.end(), words.begin(),
                      [](std::string_view text, const Token& word) { return word.raw == text; });
  };
  size_t skip = 0;
  if (starts({"python3", "-m", "pip", "install"}) || starts({"python", "-m", "pip", "install"})) skip = 4;
  if (starts({"pip", "install"}) || starts({"pip3", "install"})) skip = 2;
  if (skip == 0) return StatementKind::kUnknown;
  auto parsed = parse_install(words.subspan(skip));
  if (!parsed) return StatementKind::kUnknown;
  install = std::move(*parsed);
  return StatementKind::kInstall;
}

// The installs of a script that ends in `"$0" "$@"`.
std::optional<std::vector<PipInstall>> parse_script(const Tokens& tokens) {
  using Kind = Token::Kind;
  std::vector<PipInstall> installs;
  bool alternative = false;  // after ||: the same again, only tried when the first failed
  bool must_go_on = false;   // an install whose failure would not stop the script is none of the SDKs'
  bool executed = false;
  for (size_t i = 0; i < tokens.size();) {
    const Kind kind = tokens[i].kind;
    if (kind != Kind::kWord) {
      if (kind == Kind::kEnd && must_go_on && !alternative) return std::nullopt;
      if (kind == Kind::kOr) {
        if (!must_go_on) return std::nullopt;
        alternative = true;
      }
      if (kind == Kind::kAnd) must_go_on = false;
      ++i;
      continue;
    }
    size_t end = i;
    while (end < tokens.size() && tokens[end].kind == Kind::kWord) ++end;
    PipInstall install;
    const auto statement = parse_statement(std::span(tokens).subspan(i, end - i), install);
    i = end;
    if (statement == StatementKind::kUnknown || executed) return std::nullopt;
    if (alternative && statement != StatementKind::kInstall) return std::nullopt;
    if (statement == StatementKind::kExec) {
      if (must_go_on) return std::nullopt;
      executed = true;
    }
    if (statement == StatementKind::kInstall) {
      if (alternative && (installs.empty() || installs.back() != install)) return std::nullopt;
      if (!alternative) installs.push_back(std::move(install));
      alternative = false;
      must_go_on = true;
    }
  }
  if (!executed) return std::nullopt;
  return installs;
}

// The SDKs make sure first that there is a pip; every environment has one.
std::string_view without_pip_check(std::string_view script) {
  const size_t begin = script.find_first_not_of(" \t\n");
  if (begin == std::string_view::npos) return {};
  script.remove_prefix(begin);
  if (!script.starts_with("if ! [ -x \"$(command -v pip)\" ]; then\n")) return script;
  const size_t end = script.find("\nfi\n");
  if (end == std::string_view::npos || script.substr(0, end).find("ensurepip") == std::string_view::npos) return script;
  return script.substr(end + 4);
}

// `sh -c`, `/bin/bash -ec`, …
bool is_shell(const std::vector<std::string>& argv, size_t at) {
  if (at + 2 >= argv.size()) return false;
  const std::string_view flags = argv[at + 1];
  if (flags.size() < 2 || flags[0] != '-' || flags.find('c') == std::string_view::npos ||
      flags.find_first_not_of("ceu", 1) != std::string_view::npos) {
    return false;
  }
  std::string_view shell = argv[at];
  shell.remove_prefix(shell.rfind('/') + 1);
  return one_of(shell, {"sh", "bash", "dash", "ash"});
}

// Whether the SDK itself added this requirement for its executor. SDKs before 2.1 gave the plain pin without --no-deps.
bool is_sdk_own(std::string_view requirement, bool no_deps) {
  if (requirement_name(requirement) == "typing-extensions") return no_deps;
  if (!requirement.starts_with("kfp==")) return false;
  return no_deps || requirement.starts_with("kfp==1.") || requirement.starts_with("kfp==2.0");
}

void split_off_sdk(PythonBootstrap& bootstrap) {
  for (auto& install : bootstrap.installs) {
    const bool no_deps =
        std::find(install.options.begin(), install.options.end(), "--no-deps") != install.options.end();
    auto own = [&](const std::string& requirement) { return is_sdk_own(requirement, no_deps); };
    const bool kfp = std::any_of(install.requirements.begin(), install.requirements.end(),
                                 [&](const std::string& r) { return r.starts_with("kfp==") && own(r); });
    // typing-extensions is the SDK's only where it stands beside its kfp.
    if (!kfp) continue;
    bootstrap.wants_kfp = true;
    std::erase_if(install.requirements, own);
  }
  std::erase_if(bootstrap.installs, [](const PipInstall& install) { return install.requirements.empty(); });
}

// Steps over `text` in a program whose white space has been folded.
bool eat(std::string_view& program, std::string_view text) {
  if (!program.starts_with(text)) return false;
  program.remove_prefix(text.size());
  return true;
}

std::string fold_white_space(std::string_view text) {
  std::string folded;
  for (const char c : text) {
    const bool blank = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!blank) {
      folded += c;
    } else if (!folded.empty() && folded.back() != ' ') {
      folded += ' ';
    }
  }
  if (folded.ends_with(' ')) folded.pop_back();
  return folded;
}

}  // namespace

std::optional<PythonBootstrap> parse_bootstrap(const std::vector<std::string>& argv) {
  if (!is_shell(argv, 0) || argv.size() < 4) return std::nullopt;
  std::string_view script = argv[2];
  if (script.find("install") == std::string_view::npos || script.find("\"$0\" \"$@\"") == std::string_view::npos) {
    return std::nullopt;
  }
  const auto tokens = Lexer(without_pip_check(script)).run();
  if (!tokens) return std::nullopt;
  auto installs = parse_script(*tokens);
  if (!installs) return std::nullopt;
  PythonBootstrap bootstrap;
  bootstrap.installs = std::move(*installs);
  bootstrap.rest = 3;
  const auto program = parse_program(argv, bootstrap.rest);
  if (program && program->kind == PythonProgram::Kind::kExecutor) split_off_sdk(bootstrap);
  for (const auto& install : bootstrap.installs) {
    for (const auto& requirement : install.requirements) {
      if (requirement_name(requirement) == "kfp" || requirement.find("kubeflow/pipelines") != std::string::npos) {
        bootstrap.user_kfp = true;
      }
    }
  }
  return bootstrap;
}

std::optional<PythonProgram> parse_program(const std::vector<std::string>& argv, size_t from) {
  if (!is_shell(argv, from) || argv.size() < from + 4) return std::nullopt;
  if (std::string_view(argv[from + 2]).substr(0, 64).find("program_path=") == std::string_view::npos)
    return std::nullopt;
  const std::string folded = fold_white_space(argv[from + 2]);
  std::string_view program = folded;
  PythonProgram found;
  found.source = from + 3;
  found.args = from + 4;
  if (eat(program, "program_path=$(mktemp) printf \"%s\" \"$0\" > \"$program_path\" ")) {
    if (!eat(program, "python3 ") && !eat(program, "python ")) return std::nullopt;
    if (program != "-u \"$program_path\" \"$@\"") return std::nullopt;
    found.kind = PythonProgram::Kind::kScript;
    return found;
  }
  if (!eat(program, "program_path=$(mktemp -d) printf \"%s\" \"$0\" > \"$program_path/ephemeral_component.py\" ")) {
    return std::nullopt;
  }
  eat(program, "_KFP_RUNTIME=true ");
  if (!eat(program, "python3 ") && !eat(program, "python ")) return std::nullopt;
  eat(program, "-u ");
  if (!eat(program, "-m ")) return std::nullopt;
  found.module = program.substr(0, program.find(' '));
  if (!found.module.starts_with("kfp.") || !found.module.ends_with(".executor_main")) return std::nullopt;
  program.remove_prefix(found.module.size());
  if (program != " --component_module_path \"$program_path/ephemeral_component.py\" \"$@\"") return std::nullopt;
  return found;
}

}  // namespace penstock::node
