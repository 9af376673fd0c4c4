#include "base/schema.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/fields.h"

using namespace penstock;

namespace {

struct Leaf {
  std::string name;
};
struct Tree {
  Leaf leaf;
  std::vector<Leaf> leaves;
  json::value made;
};

const Fields<Leaf>& leaf_fields() {
  static const auto kFields = Fields<Leaf>("Leaf").add("name", &Leaf::name, {.required = true});
  return kFields;
}
const Fields<Tree>& tree_fields() {
  static const auto kFields = Fields<Tree>("Tree")
                                  .add("leaf", &Tree::leaf, leaf_fields())
                                  .add("leaves", &Tree::leaves, leaf_fields())
                                  .add("made", &Tree::made, {.schema = "[Made]"});
  return kFields;
}

}  // namespace

TEST_CASE("types as they are written") {
  Schemas schemas;
  const auto text = [&](std::string_view type) { return to_text(schemas.type(type)); };
  CHECK(text("string") == R"({"type":"string"})");
  CHECK(text("[[int32]]") ==
        R"({"type":"array","items":{"type":"array","items":{"type":"integer","format":"int32"}}})");
  CHECK(text("A|B") == R"({"type":"string","enum":["A","B"]})");
  CHECK(text("{Run}") == R"({"type":"object","additionalProperties":{"$ref":"#/components/schemas/Run"}})");
  CHECK_THROWS_AS(schemas.take(), Error);  // there is no Run
}

TEST_CASE("tables come once, by name") {
  Schemas schemas;
  schemas.add(tree_fields().table());
  schemas.add(tree_fields().table());
  schemas.add("Made", {{"id!", "string", "What it is called."}, {"tree", "Tree"}});
  CHECK_THROWS_AS(schemas.add("Made", {}), Error);
  const auto other = Fields<Leaf>("Leaf");
  CHECK_THROWS_AS(schemas.add(other.table()), Error);
  const json::object all = schemas.take();
  CHECK(all.size() == 3);
  CHECK(
      to_text(all.at("Tree").at("properties")) ==
      R"({"leaf":{"$ref":"#/components/schemas/Leaf"},"leaves":{"type":"array","items":)"
      R"({"$ref":"#/components/schemas/Leaf"}},"made":{"type":"array","items":{"$ref":"#/components/schemas/Made"}}})");
  CHECK(to_text(all.at("Made")) ==
        R"({"type":"object","properties":{"id":{"type":"string","description":"What it is called."},)"
        R"("tree":{"$ref":"#/components/schemas/Tree"}},"required":["id"]})");
}
