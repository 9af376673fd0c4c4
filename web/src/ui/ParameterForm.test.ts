import { describe, expect, test } from "vitest";
import { check, parseTyped } from "./ParameterForm";

const integer = { parameterType: "NUMBER_INTEGER" };

describe("the parameters of a form", () => {
  test("become values of their types", () => {
    expect(parseTyped(integer, " -7 ")).toBe(-7);
    expect(parseTyped({ parameterType: "NUMBER_DOUBLE" }, "1e-3")).toBe(0.001);
    expect(parseTyped({ parameterType: "BOOLEAN" }, "false")).toBe(false);
    expect(parseTyped({ parameterType: "LIST" }, "[1, 2]")).toEqual([1, 2]);
    expect(parseTyped({ parameterType: "STRUCT" }, '{"a": null}')).toEqual({ a: null });
    expect(parseTyped({ type: "INT" }, "3")).toBe(3);
    expect(parseTyped({}, "007")).toBe("007");
  });

  test("are refused when they are of another type", () => {
    for (const [spec, text, reason] of [
      [integer, "1.5", "integer"],
      [integer, "", "integer"],
      [{ parameterType: "NUMBER_DOUBLE" }, "x", "number"],
      [{ parameterType: "LIST" }, "{}", "list"],
      [{ parameterType: "STRUCT" }, "[]", "struct"],
      [{ parameterType: "STRUCT" }, "{", "json"],
    ] as const)
      expect(() => parseTyped(spec, text)).toThrow(reason);
  });

  test("that are left alone are not sent, and those without default are asked for", () => {
    const specs = {
      given: integer,
      left: { ...integer, defaultValue: 4 },
      maybe: { ...integer, isOptional: true },
      needed: integer,
    };
    expect(check(specs, { given: "1" })).toEqual({ values: { given: 1 }, problems: { needed: "required" } });
  });
});
