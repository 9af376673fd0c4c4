#include "pipelines/argo/expr.h"

#include <doctest/doctest.h>

#include "base/error.h"

using namespace penstock;
using argo::Expression;

namespace {

const json::object& names() {
  static const json::object kNames = parse_json(R"({
      "inputs": {"parameters": {"n": "3", "a-b": "text", "list": "[{\"x\": 1}, {\"x\": 2}]", "none": ""}},
      "tasks": {"t": {"status": "Failed", "outputs": {"result": "7", "parameters": {"y": "out"}}}},
      "workflow": {"parameters": {"x": "wx"}, "name": "wf"},
      "item": {"os": "linux", "n": "2"},
      "l": [3, 1, 2], "f": 2.5, "users": [{"name": "b", "age": 2}, {"name": "a", "age": 5}]})")
                                         .as_object();
  return kNames;
}

std::string value_of(std::string_view text) { return to_text(Expression::parse(text).evaluate(names())); }

std::string refusal(std::string_view text) {
  try {
    return "gives " + value_of(text);
  } catch (const Error& error) {
    return error.message();
  }
}

void check_all(std::initializer_list<std::pair<const char*, const char*>> cases) {
  for (const auto& [text, value] : cases) {
    CAPTURE(text);
    CHECK(refusal(text) == "gives " + std::string(value));
  }
}

}  // namespace

TEST_CASE("expressions: names, members and brackets") {
  check_all({{"inputs.parameters['a-b']", "\"text\""},
             {"inputs.parameters[\"n\"]", "\"3\""},
             {"workflow.parameters.x + '-' + workflow.name", "\"wx-wf\""},
             {"tasks.t.outputs.parameters.y", "\"out\""},
             {"item.os", "\"linux\""},
             {"tasks['t'].outputs['parameters'].z", "null"},
             {"tasks.t.outputs.parameters.z ?? 'none'", "\"none\""},
             {"tasks.u?.outputs", "null"},
             {"l[0] + l[-1]", "5"},
             {"l[1:]", "[1,2]"},
             {"'abcd'[1:3]", "\"bc\""}});
  CHECK(refusal("tasks.u.outputs").find("there is no outputs of nothing") == 0);
  CHECK(refusal("nobody.there").find("there is nothing named nobody") == 0);
  CHECK(refusal("l[7]").find("no item 7") != std::string::npos);
}

TEST_CASE("expressions: operators bind as in expr-lang") {
  check_all({{"1 + 2 * 3", "7"},
             {"(1 + 2) * 3", "9"},
             {"7 / 2", "3.5"},
             {"7 % 4", "3"},
             {"2 ** 3 ** 2", "512.0"},
             {"-2 ** 2", "-4.0"},
             {"1 < 2 and not false", "true"},
             {"!(1 == 1.0) || 'a' != 'b'", "true"},
             {"1 == '1'", "false"},
             {"2 in l && 9 not in l", "true"},
             {"'os' in item", "true"},
             {"'train-7' matches '^train-[0-9]+$'", "true"},
             {"'abc' contains 'b' && 'abc' startsWith 'a' && 'abc' endsWith 'c'", "true"},
             {"f > 2 ? 'big' : f > 1 ? 'some' : 'small'", "\"big\""},
             {"1..3", "[1,2,3]"},
             {"nil ?? 1 + 1", "2"},
             {"[1, 'a', {b: 2, 'c d': [3]}]", "[1,\"a\",{\"b\":2,\"c d\":[3]}]"},
             {"0x1f + 0b11 + 1_000 + 0o17", "1049"},
             {"1e3 + .5", "1000.5"},
             {"let a = 2; let b = a * 2; a + b", "6"},
             {"/* one */ 1 // and", "1"},
             {"'a\\n\\u00e4\\'' + `\\n`", "\"a\\nä'\\\\n\""}});
  CHECK(refusal("1 + '1'").find("'+' does not take 1 and \"1\"") == 0);
  CHECK(refusal("'a' && true").find("neither true nor false") != std::string::npos);
  CHECK(refusal("9223372036854775807 + 1").find("too large") != std::string::npos);
  CHECK(refusal("1 % 0").find("by zero") != std::string::npos);
}

TEST_CASE("expressions: closures") {
  check_all({{"filter(l, {# > 1})", "[3,2]"},
             {"filter(l, # > 1)", "[3,2]"},
             {"map(users, .name)", "[\"b\",\"a\"]"},
             {"map(filter(users, {.age > 2}), {.name + '!'})", "[\"a!\"]"},
             {"count(users, {.age == 5}) + len(l)", "4"},
             {"all(l, # > 0) && any(l, # == 3) && none(l, # > 3) && one(l, # == 1)", "true"},
             {"find(users, .age > 2).name", "\"a\""},
             {"findIndex(l, # == 2)", "2"},
             {"sum(l) + sum(users, .age)", "13"},
             {"map(sortBy(users, .name), .age)", "[5,2]"},
             {"reduce(l, #acc + #, 10)", "16"},
             {"map(l, #index)", "[0,1,2]"},
             {"groupBy(l, # > 1 ? 'big' : 'small')", "{\"big\":[3,2],\"small\":[1]}"},
             {"l | sort() | map(string(#)) | join(',')", "\"1,2,3\""}});
  CHECK(refusal("# + 1").find("outside of a closure") != std::string::npos);
}

TEST_CASE("expressions: functions of Argo and of the language") {
  check_all({{"asInt(inputs.parameters.n) + 1", "4"},
             {"asFloat('2.5') * 2", "5.0"},
             {"string(3) + string(true)", "\"3true\""},
             {"toJson([1, {a: 'b'}])", "\"[1,{\\\"a\\\":\\\"b\\\"}]\""},
             {"jsonpath(inputs.parameters.list, '$[1].x')", "2"},
             {"jsonpath(inputs.parameters.list, '$[*].x')", "[1,2]"},
             {"jsonpath('{\"a\": {\"b c\": [1, 2]}}', \"$.a['b c'][0]\")", "1"},
             {"fromJSON(inputs.parameters.list)[0]", "{\"x\":1}"},
             {"upper('a') + lower('B') + trim('  c ')", "\"Abc\""},
             {"split('a,b', ',')", "[\"a\",\"b\"]"},
             {"replace('aXbX', 'X', '-')", "\"a-b-\""},
             {"max(1, 3, 2) + min([4, 2])", "5"},
             {"keys({a: 1, b: 2})", "[\"a\",\"b\"]"},
             {"first(l) + last(l)", "5"},
             {"flatten([1, [2, [3]]])", "[1,2,3]"},
             {"uniq([1, 1, 2])", "[1,2]"},
             {"len('äö')", "2"},
             {"type(1.5)", "\"float\""}});
  CHECK(refusal("asInt('x')").find("asInt: \"x\" is no whole number") == 0);
  CHECK(refusal("jsonpath(inputs.parameters.list, '$[5].x')").find("nothing at") != std::string::npos);
  CHECK(refusal("nosuch(1)").find("there is no function nosuch") != std::string::npos);
  CHECK(refusal("len(1, 2)").find("takes 1 arguments, not 2") != std::string::npos);
}

TEST_CASE("expressions: sprig") {
  check_all({{"sprig.trim('  x ')", "\"x\""},
             {"sprig.upper('x') + sprig.lower('Y')", "\"Xy\""},
             {"sprig.replace('a', 'b', 'banana')", "\"bbnbnb\""},
             {"sprig.splitList(',', 'a,b')", "[\"a\",\"b\"]"},
             {"sprig.split('-', 'a-b')._1", "\"b\""},
             {"sprig.join('+', [1, 'x'])", "\"1+x\""},
             {"sprig.default('d', inputs.parameters.none)", "\"d\""},
             {"sprig.default('d', 'v')", "\"v\""},
             {"sprig.ternary('y', 'n', 1 == 1)", "\"y\""},
             {"sprig.add('1', 2, 3) + sprig.sub(5, 2)", "9"},
             {"sprig.mul(2, 3) + sprig.div(7, 2) + sprig.mod(7, 4)", "12"},
             {"sprig.int('12') + sprig.int('no')", "12"},
             {"sprig.trunc(3, 'abcdef') + sprig.trunc(-2, 'abcdef')", "\"abcef\""},
             {"sprig.substr(1, 3, 'abcd')", "\"bc\""},
             {"sprig.contains('b', 'abc') && sprig.hasPrefix('a', 'abc')", "true"},
             {"sprig.trimSuffix('.txt', 'a.txt')", "\"a\""},
             {"sprig.camelcase('some_name') + sprig.snakecase('SomeName') + sprig.kebabcase('someName')",
              "\"SomeNamesome_namesome-name\""},
             {"sprig.coalesce('', nil, 'c')", "\"c\""},
             {"sprig.dict('a', 1, 'b', 2) | sprig.hasKey('b')", "true"},
             {"sprig.toJson(sprig.merge({a: 1}, {a: 2, b: 3}))", "\"{\\\"a\\\":1,\\\"b\\\":3}\""},
             {"sprig.b64dec(sprig.b64enc('hi'))", "\"hi\""},
             {"sprig.regexReplaceAll('a(x*)b', '-axxb-', '${1}W')", "\"-xxW-\""},
             {"sprig.regexFind('[0-9]+', 'ab12c')", "\"12\""},
             {"sprig.list(1, 2) | sprig.append(3) | sprig.rest()", "[2,3]"},
             {"sprig.quote('a\"b')", "\"\\\"a\\\\\\\"b\\\"\""},
             {"sprig.repeat(2, 'ab')", "\"abab\""}});
  CHECK(refusal("sprig.now()").find("there is no function sprig.now") != std::string::npos);
  CHECK(refusal("sprig.uuidv4()").find("there is no function sprig.uuidv4") != std::string::npos);
  CHECK(refusal("sprig.div(1, 0)").find("by zero") != std::string::npos);
}

TEST_CASE("expressions: what they name is known before they run") {
  const auto expression = Expression::parse("tasks['a-b'].outputs.result == item ? inputs.parameters.x : map(l, .y)");
  using Path = std::vector<std::string>;
  const std::vector<Path> expected{
      {"tasks", "a-b", "outputs", "result"}, {"item"}, {"inputs", "parameters", "x"}, {"l"}};
  CHECK(expression.paths() == expected);
}

TEST_CASE("expressions: a fault has a column, and nothing runs for ever") {
  for (const std::string_view text : {"", "1 +", "(1", "a.", "a[", "{a 1}", "'open", "1 2", "a ? b", "/* open", "@",
                                      "map(l)", "filter(l, #, 1)", "a.b()", "1..", "0x", "let a 1; a"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(Expression::parse(text), Error);
  }
  CHECK(refusal("1 + )").find("column 5") == 0);
  CHECK_THROWS_AS(Expression::parse(std::string(5'000, '(')), Error);
  std::string chain = "1";
  for (int i = 0; i < 1'000; ++i) chain += "+1";
  CHECK_THROWS_AS(Expression::parse(chain), Error);
  CHECK(refusal("map(1..100000, {map(1..100000, #)})").find("takes too long") != std::string::npos);
  CHECK(refusal("sprig.repeat(100000000, 'x')").find("too often") != std::string::npos);
  CHECK(refusal("reduce(1..40, #acc + #acc, 'abcdefgh')").find("takes too long") != std::string::npos);
  CHECK(refusal("reduce(1..60, [#acc, #acc], 1)").find("takes too long") != std::string::npos);
}
