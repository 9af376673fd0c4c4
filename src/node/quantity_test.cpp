#include "node/quantity.h"

#include <doctest/doctest.h>

#include "base/error.h"

using namespace penstock;
using node::Quantity;

TEST_CASE("quantities: every form") {
  CHECK(Quantity::parse("100m").milli() == 100);
  CHECK(Quantity::parse("1.5").milli() == 1500);
  CHECK(Quantity::parse("1.5").units() == 2);
  CHECK(Quantity::parse("1Gi").units() == 1073741824);
  CHECK(Quantity::parse("0.5Gi").units() == 536870912);
  CHECK(Quantity::parse("1.5Ki").units() == 1536);
  CHECK(Quantity::parse("500M").units() == 500'000'000);
  CHECK(Quantity::parse("1e3").units() == 1000);
  CHECK(Quantity::parse("1E3").units() == 1000);
  CHECK(Quantity::parse("1.25e+2").units() == 125);
  CHECK(Quantity::parse("5e-1").milli() == 500);
  CHECK(Quantity::parse("1E").units() == 1'000'000'000'000'000'000);
  CHECK(Quantity::parse("7k").units() == 7000);
  CHECK(Quantity::parse("12u").milli() == 1);
  CHECK(Quantity::parse("0.1n").number() == doctest::Approx(1e-9));
  CHECK(Quantity::parse(".5").milli() == 500);
  CHECK(Quantity::parse("5.").units() == 5);
  CHECK(Quantity::parse("-2").units() == -2);
  CHECK(Quantity::parse("+2").units() == 2);
  CHECK(Quantity::parse("0").units() == 0);
  CHECK(Quantity::parse("9223372036854775807").units() == 9223372036854775807LL);
  CHECK(Quantity::read(json::value(2)).milli() == 2000);
  CHECK(Quantity::read(json::value(0.25)).milli() == 250);
  CHECK(Quantity::parse("1000m") == Quantity::parse("1"));
  CHECK(Quantity::parse("0.1") < Quantity::parse("101m"));
}

TEST_CASE("quantities: what is none") {
  for (const char* text : {"",     " ",     "-",   "abc",    "1 Gi",  "1gi",   "1Mib",
                           "1ee3", "1e",    "e3",  "1e9999", "9e18k", "1.2.3", "0x10",
                           "1 ",   "10E20", "NaN", "inf",    ".",     "1e3Ki", "99999999999999999999",
                           "9Ei"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(Quantity::parse(text, "spec"), Error);
  }
  try {
    Quantity::parse("lots", "spec.containers[0].resources.limits.memory");
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.field() == "spec.containers[0].resources.limits.memory");
    CHECK(error.message().find("\"lots\"") != std::string::npos);
  }
  CHECK_THROWS_AS(Quantity::read(json::value(true)), Error);
}

TEST_CASE("quantities: text") {
  CHECK(Quantity::parse("1500m").text() == "1.5");
  CHECK(Quantity::parse("250m").text() == "250m");
  CHECK(Quantity::parse("4").text() == "4");
  CHECK(node::bytes_text(1 << 30) == "1Gi");
  CHECK(node::bytes_text(1000) == "1000");
  CHECK(node::bytes_text(8'375'186'227) == "7.8Gi");
}
