#include "base/fields.h"

#include <doctest/doctest.h>

#include "base/base64.h"
#include "base/error.h"

using namespace penstock;

namespace {

enum class Colour { None, Red, Green };
constexpr EnumName kColours[] = {{0, "NONE"}, {1, "RED"}, {2, "GREEN"}};

struct Inner {
  std::string name;
  int64_t big = 0;
};
struct Outer {
  std::string display_name;
  int32_t count = 0;
  bool flag = false;
  double ratio = 0;
  Time created_at{};
  Time seen_at{};
  Colour colour = Colour::None;
  json::object free;
  Inner inner;
  std::vector<Inner> items;
  std::vector<std::string> words;
  std::map<std::string, std::string> tags;
};

const Fields<Inner>& inner_fields() {
  static const auto kFields = Fields<Inner>("Inner").add("name", &Inner::name).add("big", &Inner::big);
  return kFields;
}

const Fields<Outer>& outer_fields() {
  static const auto kFields =
      Fields<Outer>("Outer")
          .add("display_name", &Outer::display_name, {.required = true, .max_length = 5, .doc = "What it is called."})
          .add("count", &Outer::count)
          .add("flag", &Outer::flag)
          .add("ratio", &Outer::ratio)
          .add("created_at", &Outer::created_at, {.output_only = true, .always = true})
          .add("seen_at", &Outer::seen_at)
          .add("colour", &Outer::colour, kColours)
          .add("free", &Outer::free)
          .add("inner", &Outer::inner, inner_fields())
          .add("items", &Outer::items, inner_fields())
          .add("words", &Outer::words)
          .add("tags", &Outer::tags);
  return kFields;
}

std::string fault(const char* text) {
  try {
    outer_fields().read(parse_json(text));
  } catch (const Error& error) {
    CHECK(error.code() == Code::InvalidArgument);
    return error.message();
  }
  return "none";
}

}  // namespace

TEST_CASE("fields: what is written is read back") {
  Outer outer;
  outer.display_name = "x";
  outer.count = -3;
  outer.flag = true;
  outer.ratio = 0.5;
  outer.seen_at = *parse_time("2026-01-02T03:04:05Z");
  outer.colour = Colour::Green;
  outer.free = {{"any", json::array{1, nullptr}}};
  outer.inner = {"in", 1ll << 60};
  outer.items = {{"a", 1}, {"b", 0}};
  outer.words = {"p", "q"};
  outer.tags = {{"k", "v"}};
  const json::object written = outer_fields().write(outer);
  CHECK(written.at("inner").at("big") == "1152921504606846976");
  CHECK(written.at("colour") == "GREEN");
  CHECK(written.at("count") == -3);
  CHECK(written.at("seen_at") == "2026-01-02T03:04:05Z");
  CHECK(outer_fields().write(outer_fields().read(written)) == written);

  CHECK(to_text(outer_fields().write(Outer{})) == R"({"created_at":"1970-01-01T00:00:00Z"})");
}

TEST_CASE("fields: names, enums and integers in either spelling, null as absent") {
  const Outer outer = outer_fields().read(
      parse_json(R"({"displayName":"x","count":"7","colour":2,"seenAt":"2026-01-02T05:04:05+02:00","inner":{"big":5},)"
                 R"("flag":null,"createdAt":"2026-01-02T03:04:05Z","ratio":"NaN"})"));
  CHECK(outer.count == 7);
  CHECK(outer.colour == Colour::Green);
  CHECK(outer.seen_at == *parse_time("2026-01-02T03:04:05Z"));
  CHECK(outer.inner.big == 5);
  CHECK(outer.created_at == Time{});
  CHECK(outer.ratio != outer.ratio);
}

TEST_CASE("fields: faults name their path") {
  CHECK(fault(R"({"display_name":"x","foo":1})") == "unknown field \"foo\" in Outer");
  CHECK(fault(R"({"display_name":"x","items":[{},{"foo":1}]})") == "items[1]: unknown field \"foo\" in Inner");
  CHECK(fault(R"({"display_name":"x","inner":{"big":"y"}})") == "inner.big: expected an integer");
  CHECK(fault(R"({"display_name":"x","inner":{"big":1.5}})") == "inner.big: expected an integer");
  CHECK(fault(R"({"display_name":"x","count":3000000000})").starts_with("count: "));
  CHECK(fault(R"({"display_name":"x","colour":"BLUE"})").starts_with("colour: "));
  CHECK(fault(R"({"display_name":"x","tags":{"a":1}})") == "tags.a: expected a string");
  CHECK(fault(R"({"display_name":"x","displayName":"y"})") == "display_name: the field is given twice");
  CHECK(fault(R"({"display_name":"x","seen_at":"noon"})").starts_with("seen_at: "));
  CHECK(fault(R"({"display_name":"x","words":"p"})") == "words: expected a list");
  CHECK(fault("{}") == "display_name: it is required and missing");
  CHECK(fault(R"({"display_name":"longer"})").starts_with("display_name: it has 6 bytes"));
  CHECK(fault("[]") == "expected an object (Outer)");
}

TEST_CASE("fields: the schema says what the table says") {
  const json::object schema = outer_fields().schema();
  const json::object& properties = schema.at("properties").as_object();
  CHECK(schema.at("required").at(0) == "display_name");
  CHECK(properties.at("display_name").at("maxLength") == 5);
  CHECK(properties.at("created_at").at("readOnly") == true);
  CHECK(properties.at("items").at("items").at("title") == "Inner");
  CHECK(properties.at("colour").at("enum").as_array().size() == 3);
}

TEST_CASE("base64 both ways") {
  for (const char* text : {"", "f", "fo", "foo", "foob", "fooba", "foobar"}) {
    CHECK(base64_decode(base64_encode(text)) == text);
  }
  CHECK(base64_encode("foobar!") == "Zm9vYmFyIQ==");
  CHECK_FALSE(base64_decode("a"));
  CHECK_FALSE(base64_decode("a!=="));
}
