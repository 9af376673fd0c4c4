import { describe, expect, test } from "vitest";
import { literal, parseFunction, pythonComponent, sourceOfComponent, splitTop } from "./python";

const head = (text: string) => parseFunction(`${text}\n    pass\n`).spec;

describe("a function's signature", () => {
  test("gives parameters by their types, with defaults", () => {
    const spec = head(
      "def f(a: str, b: int = 3, c: float = -1e-3, d: bool = True, e: list = [1, 'x'], g: dict = {'k': [None]}):",
    );
    expect(spec.inputDefinitions?.parameters).toEqual({
      a: { parameterType: "STRING" },
      b: { parameterType: "NUMBER_INTEGER", defaultValue: 3, isOptional: true },
      c: { parameterType: "NUMBER_DOUBLE", defaultValue: -0.001, isOptional: true },
      d: { parameterType: "BOOLEAN", defaultValue: true, isOptional: true },
      e: { parameterType: "LIST", defaultValue: [1, "x"], isOptional: true },
      g: { parameterType: "STRUCT", defaultValue: { k: [null] }, isOptional: true },
    });
    expect(spec.outputDefinitions).toBeUndefined();
  });

  test("may go over lines, with comments, quotes and brackets in them", () => {
    const spec = head(`def f(
    a: str = '#, (',  # a comment with ) and , and '
    b: "List[Dict[str, int]]" = [],  # more
    *,
    c: typing.Optional[str] = None,
) -> str:  # the end`);
    expect(spec.inputDefinitions?.parameters).toEqual({
      a: { parameterType: "STRING", defaultValue: "#, (", isOptional: true },
      b: { parameterType: "LIST", defaultValue: [], isOptional: true },
      c: { parameterType: "STRING", isOptional: true },
    });
    expect(spec.outputDefinitions).toEqual({ parameters: { Output: { parameterType: "STRING" } } });
  });

  test("gives artifacts, in and out, one or many", () => {
    const spec = head(
      "def f(a: Input[Dataset], b: dsl.Input[List[dsl.Model]], c: Output[Metrics], d: OutputPath(int), e: OutputPath('Model'), g: Input[Artifact] = None):",
    );
    const type = (schemaTitle: string) => ({ artifactType: { schemaTitle, schemaVersion: "0.0.1" } });
    expect(spec.inputDefinitions).toEqual({
      artifacts: {
        a: type("system.Dataset"),
        b: { ...type("system.Model"), isArtifactList: true },
        g: { ...type("system.Artifact"), isOptional: true },
      },
    });
    expect(spec.outputDefinitions).toEqual({
      parameters: { d: { parameterType: "NUMBER_INTEGER" } },
      artifacts: { c: type("system.Metrics"), e: type("system.Model") },
    });
  });

  test("may return several things by name", () => {
    const spec = head("def f() -> NamedTuple('Made', [('n', int), ('model', Model)]):");
    expect(Object.keys(spec.outputDefinitions?.parameters ?? {})).toEqual(["n"]);
    expect(spec.outputDefinitions?.artifacts?.model?.artifactType?.schemaTitle).toBe("system.Model");
    expect(head("def f() -> NamedTuple('Made', n=int, t=str):").outputDefinitions?.parameters).toEqual({
      n: { parameterType: "NUMBER_INTEGER" },
      t: { parameterType: "STRING" },
    });
  });

  test("may allow certain values only", () => {
    expect(head("def f(mode: Literal['fast', 'good'] = 'fast'):").inputDefinitions?.parameters?.mode).toEqual({
      parameterType: "STRING",
      literals: ["fast", "good"],
      defaultValue: "fast",
      isOptional: true,
    });
  });

  test.each([
    ["x = 1", "there is no function"],
    ["def f(a):", "a needs a type"],
    ["def f(*args):", "can't take"],
    ["def f(a: Frame):", "no type Frame"],
    ["def f(a: Input[Frame]):", "no artifact type Frame"],
    ["def f(a: str = os.sep):", "no plain value"],
    ["def f(a: str = 'x' + 'y'):", "no plain value"],
    ["def f(a: str", "not closed"],
    ["def f(a: Literal['x', 1]):", "not of one type"],
  ])("%s is refused", (text, problem) => {
    expect(() => head(text)).toThrow(problem);
  });
});

test("the function alone is taken, out of what stands around it", () => {
  const text = `from kfp import dsl

@dsl.component(base_image="python:3.12", packages_to_install=['numpy>=1', "pandas"])
def f(a: str) -> str:
    """Says it."""
    text = """
not indented, but text"""
    return (
a + text
    )

@dsl.pipeline
def p():
    f(a='x')
`;
  const { name, source, packages, image, description } = parseFunction(text);
  expect([name, packages, image, description]).toEqual(["f", ["numpy>=1", "pandas"], "python:3.12", "Says it."]);
  expect(source.startsWith("def f(a: str) -> str:")).toBe(true);
  expect(source).toMatch(/a \+ text\n {4}\)$/);
});

test("an indented function is outdented", () => {
  expect(parseFunction("    def f() -> int:\n        return 1\n").source).toBe("def f() -> int:\n    return 1");
});

test("literals are Python's", () => {
  expect(literal("'a\\'b\\n\\u00e9\\x41'")).toBe("a'b\néA");
  expect(literal("1_000")).toBe(1000);
  expect(literal("{'a': [1, {'b': None}], \"c\": False}")).toEqual({ a: [1, { b: null }], c: false });
  expect(splitTop("a, 'b, c', [d, e]")).toEqual(["a", "'b, c'", "[d, e]"]);
});

test("a component keeps its source and packages", () => {
  const like = {
    container: {
      image: "python:3.11",
      command: ["sh", "-c", "python3 -m pip install --quiet --no-warn-script-location 'kfp==2' && exec", "old"],
      args: [],
    },
  };
  const text = "@dsl.component(packages_to_install=['numpy'])\ndef add_up(a: int) -> int:\n    return a\n";
  const component = pythonComponent(text, like);
  expect(component.name).toBe("add-up");
  expect(sourceOfComponent(component.executor)).toEqual({
    name: "add_up",
    source: "def add_up(a: int) -> int:\n    return a",
    packages: ["numpy"],
  });
  expect(() => pythonComponent(text, {})).toThrow("no Python component");
});
