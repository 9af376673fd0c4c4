#include "objects/s3/xml.h"

#include <doctest/doctest.h>

#include "objects/s3_error.h"

namespace penstock::objects {

TEST_CASE("elements, attributes, entities and what may stand between") {
  const XmlNode root = parse_xml(
      "<?xml version='1.0'?><!-- c --><p:A xmlns:p=\"u\" b='1 &lt; 2'><B> x &amp; &#x41;&#66; </B><!-- d -->"
      "<C/><B><![CDATA[<raw>]]></B></p:A>\n");
  CHECK(root.name == "A");
  CHECK(root.attribute("b") == "1 < 2");
  CHECK(root.value("B") == "x & AB");
  CHECK(root.all("B").size() == 2);
  CHECK(root.all("B")[1]->text == "<raw>");
  CHECK(root.child("C") != nullptr);
  CHECK(root.child("D") == nullptr);
  CHECK(root.value("D").empty());
}

TEST_CASE("what is not well formed, or grows, is refused") {
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "<a>";
  for (const std::string& bad :
       {std::string(), std::string("text"), std::string("<a>"), std::string("<a></b>"), std::string("<a/><b/>"),
        std::string("<a>&unknown;</a>"), std::string("<a>&#0;</a>"),
        std::string("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>"), std::string("<a b></a>"), std::string("<a b=c></a>"),
        std::string("<a>\xff</a>"), deep, std::string("<"), std::string("<a><![CDATA[</a>")}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(parse_xml(bad), S3Error);
  }
}

TEST_CASE("what is written is read back") {
  XmlWriter xml("A", false);
  xml.element("Key", "<&>\"ä").open("B").element("N", int64_t{7}).flag("F", true).close();
  const XmlNode root = parse_xml(xml.finish());
  CHECK(root.value("Key") == "<&>\"ä");
  CHECK(root.child("B")->value("N") == "7");
  CHECK(root.child("B")->value("F") == "true");
}

}  // namespace penstock::objects
