#include "base/json.h"

#include <random>

#include <doctest/doctest.h>

#include "base/error.h"

using namespace penstock;

namespace {

std::string refusal(const std::string& yaml) {
  try {
    parse_yaml(yaml);
    return "none";
  } catch (const Error& error) {
    CHECK(error.code() == Code::InvalidArgument);
    return error.message();
  }
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("numbers are read as the nearest double, and written so that they are read again as the same") {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    const double number = static_cast<double>(random() >> 11) * 0x1p-53;
    CHECK(parse_json(fmt::format("{}", number)).as_double() == number);
    CHECK(parse_yaml(fmt::format("a: {}", number))[0].at("a").as_double() == number);
  }
  for (const char* text : {"18446744073709551615", "-9223372036854775808", "1e-400", "99999999900000000137", "0.1"}) {
    const json::value value = parse_json(fmt::format("[{}]", text));
    CHECK(parse_json(to_text(value)) == value);
    CHECK(parse_yaml(to_yaml(value))[0] == value);
  }
  CHECK_THROWS_AS(parse_json("1e999"), Error);
}

TEST_CASE("YAML: anchors, aliases and merges") {
  const json::value read = parse_yaml("a: &x {k: 1, l: [2]}\nb: *x\nc: {<<: *x, k: 3}\nd: &s text\n*s : e\n")[0];
  CHECK(read.at("b") == read.at("a"));
  CHECK(to_text(read.at("c")) == R"({"k":3,"l":[2]})");
  CHECK(read.at("text") == "e");
  CHECK(has(refusal("a: &x [*x]"), "an alias inside of what it names"));
  CHECK(has(refusal("? [a]\n: b\n"), "a key must be a scalar"));
  CHECK(parse_yaml("a\n---\nb\n").size() == 2);
}

TEST_CASE("YAML: bombs are refused at once") {
  std::string aliases = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 30; ++i) {
    aliases += fmt::format("a{0}: &a{0} [*a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}]\n", i, i - 1);
  }
  CHECK(has(refusal(aliases), "too many values"));
  // Each level keeps a copy of all inside of it.
  std::string nested;
  for (int i = 0; i < 190; ++i) nested += fmt::format("&n{} [", i);
  for (int i = 0; i < 20'000; ++i) nested += "1,";
  CHECK(has(refusal(nested + std::string(190, ']')), "too many values"));
  CHECK(refusal(std::string(10'000, '[')) != "none");
  std::string deep;
  for (int i = 0; i < 300; ++i) deep += std::string(static_cast<size_t>(i), ' ') + "a:\n";
  CHECK(has(refusal(deep), "nested deeper"));
  // yaml-cpp finds documents without end in this one.
  CHECK(has(refusal("a: &x.  \xff\xff,\n%  - \"two\"\n ,\n  - - , 0o7\n---\n- x\n  - , 0o7\n---\n-\xff"), "line"));
}
