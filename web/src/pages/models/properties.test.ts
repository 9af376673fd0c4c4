import { expect, test } from "vitest";
import { propertyOf, propertyText, without } from "./properties";

test("what is typed becomes the property that it looks like, and is shown as it was", () => {
  const members = ["true", "12", "-0.5", "1e3", "v1.2", "", "1_000"].map((text) => propertyOf(text).metadataType);
  expect(members.map((type) => type.replace(/Metadata|Value/g, ""))).toEqual([
    "Bool",
    "Int",
    "Double",
    "Double",
    "String",
    "String",
    "String",
  ]);
  expect(["true", "12", "-0.5", "v1.2", ""].map((text) => propertyText(propertyOf(text)))).toEqual([
    "true",
    "12",
    "-0.5",
    "v1.2",
    "",
  ]);
});

test("a property goes alone", () => {
  expect(Object.keys(without({ a: propertyOf("1"), b: propertyOf("2") }, "a"))).toEqual(["b"]);
});
