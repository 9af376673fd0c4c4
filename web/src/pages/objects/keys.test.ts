import { expect, test } from "vitest";
import { entriesOf, folderOf, nameOf, waysTo } from "./keys";

test("a key's name is its last part", () => {
  expect(["a/b.txt", "a/b/", "a", "../x", "a//"].map(nameOf)).toEqual(["b.txt", "b", "a", "x", "a//"]);
});

test("each folder on the way has its prefix", () => {
  expect(waysTo("a/../c/")).toEqual([
    { prefix: "a/", name: "a" },
    { prefix: "a/../", name: ".." },
    { prefix: "a/../c/", name: "c" },
  ]);
  expect(waysTo("")).toEqual([]);
  expect(["a/b/", "a/b.txt", "b"].map(folderOf)).toEqual(["a/", "a/", ""]);
});

test("folders and objects are in one order, without the folder itself", () => {
  const object = (key: string) => ({ key, modified_at: "2026-01-01T00:00:00Z", size: "1" });
  const page = { prefixes: ["d/b/"], objects: [object("d/"), object("d/a"), object("d/c")] };
  expect(entriesOf(page, "d/").map(({ key }) => key)).toEqual(["d/a", "d/b/", "d/c"]);
});
