#include "kube/selector.h"

#include <doctest/doctest.h>

#include "kube/validation.h"

using namespace penstock;
using namespace penstock::kube;

namespace {

bool matches(std::string_view selector, json::object labels) {
  return LabelSelector(selector).matches({{"metadata", json::object{{"labels", std::move(labels)}}}});
}

}  // namespace

TEST_CASE("label selectors") {
  const json::object web{{"app", "web"}, {"tier", "a"}};
  CHECK(matches("", web));
  CHECK(matches("app=web,tier==a", web));
  CHECK_FALSE(matches("app=web,tier=b", web));
  CHECK(matches("app!=db", web));
  CHECK(matches("missing!=db", web));
  CHECK(matches("tier in (a, b)", web));
  CHECK_FALSE(matches("tier notin (a,b)", web));
  CHECK(matches("missing notin (a)", web));
  CHECK(matches("app", web));
  CHECK_FALSE(matches("!app", web));
  CHECK(matches("!missing , app", web));
  CHECK(matches("kubeflow.org/run in (),app=web", {{"app", "web"}, {"kubeflow.org/run", ""}}));
  for (const auto* bad : {"a b", "=x", "app=web,", "app in (a", "-a=b", "a=b c", "app in a"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(LabelSelector{std::string_view(bad)}, Error);
  }
  const LabelSelector parsed(parse_json(R"({"matchLabels":{"app":"web"},"matchExpressions":[
      {"key":"tier","operator":"In","values":["a"]},{"key":"x","operator":"DoesNotExist"}]})")
                                 .as_object());
  CHECK(parsed.matches({{"metadata", json::object{{"labels", web}}}}));
}

TEST_CASE("quantities") {
  CHECK(parse_quantity("500m") == doctest::Approx(0.5));
  CHECK(parse_quantity("1.5") == 1.5);
  CHECK(parse_quantity("2Gi") == 2147483648.0);
  CHECK(parse_quantity("3k") == 3000);
  CHECK(parse_quantity("1e3") == 1000);
  CHECK(parse_quantity("12E") == 12e18);
  CHECK(parse_quantity("+1") == 1);
  CHECK(quantity_of(json::value(4)) == 4);
  for (const auto* bad : {"", "Gi", "1 Gi", "1gi", "0x10", "1e", "--1", "nan", "inf", "1.2.3"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_quantity(std::string_view(bad)).has_value());
  }
}

TEST_CASE("names") {
  CHECK(is_dns_subdomain("a.b-c.d"));
  CHECK_FALSE(is_dns_subdomain("a..b"));
  CHECK_FALSE(is_dns_subdomain("A"));
  CHECK_FALSE(is_dns_subdomain(std::string(254, 'a')));
  CHECK_FALSE(is_dns_label(std::string(64, 'a')));
  CHECK_FALSE(is_dns_label("-a"));
  CHECK(is_label_key("pipelines.kubeflow.org/v2_component"));
  CHECK_FALSE(is_label_key("/x"));
  CHECK_FALSE(is_label_key("a/b/c"));
  CHECK(is_label_value(""));
  CHECK_FALSE(is_label_value("a_"));
}

TEST_CASE("ages as kubectl shows them") {
  CHECK(short_duration(std::chrono::seconds(45)) == "45s");
  CHECK(short_duration(std::chrono::seconds(192)) == "3m12s");
  CHECK(short_duration(std::chrono::hours(5)) == "5h");
  CHECK(short_duration(std::chrono::hours(50)) == "2d2h");
}
