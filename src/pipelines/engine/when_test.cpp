#include "pipelines/engine/when.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace penstock::engine {

TEST_CASE("conditions of workflows hold or do not") {
  for (const std::string_view text : {"heads == heads",
                                      "\"heads\" == \"heads\"",
                                      "'a b' != 'a c'",
                                      "5 > 4",
                                      "\"5\" == 5",
                                      "10 > 9",
                                      "\"10\" > \"9\"",
                                      "3.0 == 3",
                                      "true",
                                      "true == true",
                                      "!(1 == 2)",
                                      "1 == 2 || 2 == 2 && 3 == 3",
                                      "x in (y, x)",
                                      "!(x in (y, z))",
                                      "\"abc\" =~ \"^a.c$\"",
                                      "abc !~ 'd'",
                                      "2 + 3 * 2 == 8",
                                      "10 % 3 == 1",
                                      "-1 < 0",
                                      "\"\" == \"\"",
                                      "\"a\\\"b\" == 'a\"b'",
                                      "b > a",
                                      "heads=~heads",
                                      " a == a ",
                                      "\"say == so\" == 'say == so'"}) {
    CAPTURE(text);
    CHECK(holds(text));
  }
  for (const std::string_view text :
       {"heads == tails", "5 > 5", "\"9\" > \"10\"", "false", "x in ()", "a == b && a == a", "\"1\" == \"01\""}) {
    CAPTURE(text);
    CHECK_FALSE(holds(text));
  }
}

TEST_CASE("what is no condition is refused") {
  for (const std::string_view text :
       {"", "heads ==", "a b", "(1 == 1", "\"open", "maybe", "5", "a-b == 1", "1 == 1)", "x =~ '['", "x in y"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(holds(text), Error);
  }
  CHECK_THROWS_AS(holds(std::string(5000, '(') + "1"), Error);
  CHECK_THROWS_AS(holds(std::string(5000, '!') + "true"), Error);
}

}  // namespace penstock::engine
