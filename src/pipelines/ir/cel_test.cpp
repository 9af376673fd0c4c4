#include "pipelines/ir/cel.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace penstock::cel {

namespace {

json::value evaluate(std::string_view text, const json::object& parameters = {}) {
  Environment environment;
  environment.parameter = [&](std::string_view name) { return parameters.if_contains(name); };
  json::value text_value = "{\"A\": [1, {\"b\": \"x\"}]}";
  environment.variable = [&](std::string_view name) { return name == "string_value" ? &text_value : nullptr; };
  return Expression::parse(text).evaluate(environment);
}

std::string failure(std::string_view text, const json::object& parameters = {}) {
  try {
    return "no error but " + to_text(evaluate(text, parameters));
  } catch (const Error& error) {
    CHECK(error.code() == Code::InvalidArgument);
    return error.message();
  }
}

}  // namespace

TEST_CASE("literals and operators") {
  CHECK(evaluate("1 + 2 * 3") == 7);
  CHECK(evaluate("(1 + 2) * 3 - -1") == 10);
  CHECK(evaluate("7 / 2") == 3);
  CHECK(evaluate("7.0 / 2") == 3.5);
  CHECK(evaluate("-7 % 3") == -1);
  CHECK(evaluate("'a' + \"b\"") == "ab");
  CHECK(evaluate("'it\\'s \\u00fc'") == "it's ü");
  CHECK(evaluate("r'\\d'") == "\\d");
  CHECK(evaluate("1 == 1.0 && 2 != 3 && 'a' < 'b' && 3 >= 3").get_bool());
  CHECK(evaluate("true ? 'yes' : 'no'") == "yes");
  CHECK(evaluate("false ? 1 : true ? 2 : 3") == 2);
  CHECK(evaluate("2 in [1, 2] && !(3 in [1, 2]) && 'k' in {'k': 1}").get_bool());
  CHECK(evaluate("[1, 2][1] == 2 && {'a': {'b': 5}}.a.b == 5").get_bool());
  CHECK(evaluate("-9223372036854775808") == INT64_MIN);
  CHECK(evaluate("!true || !!true").get_bool());
}

TEST_CASE("inputs") {
  const json::object parameters{{"x", "heads"}, {"n", 7.0}, {"b", true}, {"d", json::object{{"k", json::array{1}}}}};
  CHECK(evaluate("inputs.parameter_values['x'] == 'heads'", parameters).get_bool());
  CHECK(evaluate("int(inputs.parameter_values['n']) > 5", parameters).get_bool());
  CHECK(evaluate("inputs.parameter_values['n'] == 7", parameters).get_bool());
  CHECK(evaluate("inputs.parameter_values['b'] == true", parameters).get_bool());
  CHECK(evaluate("inputs.parameter_values['d'].k[0] == 1", parameters).get_bool());
  CHECK(evaluate("inputs.parameters['x'].string_value == 'heads'", parameters).get_bool());
  CHECK(evaluate("'x' in inputs.parameter_values && !('y' in inputs.parameter_values)", parameters).get_bool());
  CHECK(evaluate("parseJson(string_value)[\"A\"][1].b") == "x");
  CHECK(failure("inputs.parameter_values['y']", parameters) == "there is no input parameter \"y\"");
  CHECK(failure("inputs.nothing", parameters) == "inputs has no member \"nothing\"");
}

TEST_CASE("functions") {
  CHECK(evaluate("int('12') + int(3.9) + int(-3.9)") == 12);
  CHECK(evaluate("double('1.5') + double(1)") == 2.5);
  CHECK(evaluate("string(1.0) + string(true) + string([1])") == "1true[1]");
  CHECK(evaluate("bool('true') && !bool('0')").get_bool());
  CHECK(evaluate("size('üx') + size([1]) + 'abc'.size()") == 6);
  CHECK(evaluate("'abc'.startsWith('a') && 'abc'.endsWith('c') && 'abc'.contains('b')").get_bool());
  CHECK(evaluate("'abc123'.matches('^[a-c]+[0-9]+$')").get_bool());
  CHECK(evaluate("has({'a': 1}.a) && !has({'a': 1}.b)").get_bool());
}

TEST_CASE("errors are clear") {
  CHECK(failure("int('many')") == "int() of \"many\": not a whole number");
  CHECK(failure("1 / 0") == "division by zero");
  CHECK(failure("9223372036854775807 + 1") == "integer overflow in '+'");
  CHECK(failure("'a' < 1") == "'<' does not compare string with int");
  CHECK(failure("[1][2]") == "index 2 is outside of a list of 1");
  CHECK(failure("nothing") == "unknown name \"nothing\"");
  CHECK(failure("foo(1)") == "unknown function foo()");
  CHECK(failure("'a'.matches('(')").starts_with("matches(): "));
  CHECK(failure("1 +").starts_with("the expression ends too early at column 4"));
  CHECK(failure("'abc").starts_with("the string does not end"));
  CHECK(failure("a b").starts_with("unexpected 'b' at column 3"));
  CHECK(failure("").starts_with("the expression ends too early"));
  CHECK(failure("1 && true") == "'&&' takes true or false, not int");
  // As CEL: what decides wins over an error beside it.
  CHECK(evaluate("false && 1 / 0 == 1") == false);
  CHECK(evaluate("1 / 0 == 1 || true") == true);
}

TEST_CASE("depth is bounded") {
  for (const std::string open : {"(", "!", "-", "[", "int(", "true ? 1 : "}) {
    std::string text;
    for (int i = 0; i < 20'000; ++i) text += open;
    CHECK(failure(text).find("at column") != std::string::npos);
  }
  std::string chain = "1";
  for (int i = 0; i < 100'000; ++i) chain += "+1";
  CHECK(failure(chain).find("nested too deeply") != std::string::npos);
  std::string branches = "true";  // a long row of Elif conditions is flat
  for (int i = 0; i < 1000; ++i) branches += " && true";
  CHECK(evaluate(branches) == true);
  std::string in = "1";
  for (int i = 0; i < 60; ++i) in = "1 in [" + in + "]";
  CHECK_NOTHROW(evaluate(in));
}

}  // namespace penstock::cel
