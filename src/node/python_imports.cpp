#include "node/python_imports.h"

#include <algorithm>
#include <cctype>

namespace penstock::node {
namespace {

bool is_name_part(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

void skip_blanks(std::string_view& text) {
  while (!text.empty() && (text[0] == ' ' || text[0] == '\t')) text.remove_prefix(1);
}

bool eat(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word) || (text.size() > word.size() && is_name_part(text[word.size()]))) return false;
  text.remove_prefix(word.size());
  skip_blanks(text);
  return true;
}

// "a.b.c", or nothing.
std::string eat_name(std::string_view& text) {
  size_t end = 0;
  while (end < text.size() && (is_name_part(text[end]) || text[end] == '.')) ++end;
  std::string name(text.substr(0, end));
  if (name.empty() || name.front() == '.' || name.back() == '.' || name.find("..") != std::string::npos ||
      std::isdigit(static_cast<unsigned char>(name.front()))) {
    return {};
  }
  text.remove_prefix(end);
  skip_blanks(text);
  return name;
}

// The names of a list such as `a as b, c`; none when it is no such list.
std::vector<std::string> eat_names(std::string_view& text) {
  std::vector<std::string> names;
  while (true) {
    std::string name = eat_name(text);
    if (name.empty()) return {};
    names.push_back(std::move(name));
    if (eat(text, "as") && eat_name(text).empty()) return {};
    if (!text.starts_with(',')) break;
    text.remove_prefix(1);
    skip_blanks(text);
  }
  if (!text.empty() && text[0] != '#' && text[0] != ';' && text[0] != '\r') return {};
  return names;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void read_line(std::string_view line, std::vector<std::string>& found) {
  auto keep = [&](std::string statement) {
    if (std::find(found.begin(), found.end(), statement) == found.end()) found.push_back(std::move(statement));
  };
  skip_blanks(line);
  if (eat(line, "import")) {
    for (const std::string& name : eat_names(line)) keep("import " + name);
    return;
  }
  if (!eat(line, "from")) return;
  const std::string module = eat_name(line);
  if (module.empty() || module == "__future__" || !eat(line, "import")) return;
  if (line.starts_with('*')) return keep("from " + module + " import *");
  // A list that goes on over lines.
  if (line.starts_with('(') && line.find(')') == std::string_view::npos) return keep("import " + module);
  if (line.starts_with('(')) {
    line = line.substr(1, line.find(')') - 1);
    skip_blanks(line);
    while (!line.empty() && (line.back() == ' ' || line.back() == ',')) line.remove_suffix(1);
  }
  const std::vector<std::string> names = eat_names(line);
  if (!names.empty()) keep("from " + module + " import " + joined(names));
}

bool has_word(std::string_view source, std::string_view word) {
  for (size_t at = source.find(word); at != std::string_view::npos; at = source.find(word, at + 1)) {
    const size_t end = at + word.size();
    if ((at == 0 || !is_name_part(source[at - 1])) && (end >= source.size() || !is_name_part(source[end]))) return true;
  }
  return false;
}

bool ends_with_word(std::string_view text, std::string_view word) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '(')) text.remove_suffix(1);
  return text.ends_with(word) && (text.size() == word.size() || !is_name_part(text[text.size() - word.size() - 1]));
}

// Whether what stands around this mention of os.environ surely only reads it.
bool only_reads(std::string_view before, std::string_view after) {
  before = before.substr(before.rfind('\n') + 1);
  if (before.ends_with("os.")) before.remove_suffix(3);
  skip_blanks(after);
  if (after.starts_with('[')) {
    const size_t close = after.find(']');
    if (close == std::string_view::npos || ends_with_word(before, "del")) return false;
    after.remove_prefix(close + 1);
    skip_blanks(after);
    const size_t assigns = after.find_first_not_of("+|");
    return assigns == std::string_view::npos || after[assigns] != '=' || after.substr(assigns).starts_with("==");
  }
  if (after.starts_with('.')) {
    after.remove_prefix(1);
    const std::string method = eat_name(after);
    for (const char* reader : {"get", "keys", "items", "values", "copy"}) {
      if (method == reader) return true;
    }
    return false;
  }
  return ends_with_word(before, "in") || ends_with_word(before, "dict") || before.ends_with("**");
}

}  // namespace

std::vector<std::string> imports_of(std::string_view source) {
  std::vector<std::string> found;
  while (!source.empty()) {
    const std::string_view line = source.substr(0, source.find('\n'));
    source.remove_prefix(std::min(source.size(), line.size() + 1));
    read_line(line, found);
  }
  return found;
}

bool prepares_imports(std::string_view source) {
  for (const char* word : {"path", "path_hooks", "meta_path", "modules", "path_importer_cache"}) {
    if (has_word(source, "sys." + std::string(word))) return true;
  }
  for (const char* word : {"putenv", "unsetenv", "load_dotenv", "environb", "addsitedir"}) {
    if (has_word(source, word)) return true;
  }
  constexpr std::string_view kEnvironment = "environ";
  for (size_t at = source.find(kEnvironment); at != std::string_view::npos; at = source.find(kEnvironment, at + 1)) {
    const size_t end = at + kEnvironment.size();
    if ((at > 0 && is_name_part(source[at - 1])) || (end < source.size() && is_name_part(source[end]))) continue;
    if (!only_reads(source.substr(0, at), source.substr(end))) return true;
  }
  return false;
}

}  // namespace penstock::node
