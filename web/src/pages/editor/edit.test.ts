import { describe, expect, test } from "vitest";
import type { PipelineSpec } from "../../graph/spec";
import {
  addGroup,
  addTask,
  type Component,
  candidates,
  changeTask,
  emptySpec,
  problemsOf,
  removeTask,
  setCondition,
  setInput,
  setItems,
  setParameter,
} from "./edit";
import { fits, type Port, sourceOf, tasksIn } from "./ports";

const number = { parameterType: "NUMBER_INTEGER" };
const dataset = { artifactType: { schemaTitle: "system.Dataset", schemaVersion: "0.0.1" } };

const make: Component = {
  name: "make",
  spec: {
    outputDefinitions: {
      parameters: { count: number, list: { parameterType: "LIST" } },
      artifacts: { data: dataset },
    },
  },
  executor: { container: { image: "a" } },
};
const use: Component = {
  name: "use",
  spec: {
    inputDefinitions: {
      parameters: { n: number, rate: { parameterType: "NUMBER_DOUBLE", isOptional: true } },
      artifacts: { data: { ...dataset, isOptional: true } },
    },
    outputDefinitions: { parameters: { twice: number } },
  },
  executor: { container: { image: "b" } },
};
const n: Port = { name: "n", kind: "parameter", type: "NUMBER_INTEGER" };
const data: Port = { name: "data", kind: "artifact", type: "system.Dataset" };

/** make beside a condition that has use inside. */
function grouped(): PipelineSpec {
  const [one] = addTask(emptySpec("p"), [], make);
  const [two] = addGroup(one, [], "condition");
  return addTask(two, ["condition-1"], use)[0];
}
const fromMake = (output: string) => ({ from: "task", scope: [], task: "make", output }) as const;
const groupOf = (spec: PipelineSpec, name = "condition-1") => ({
  task: tasksIn(spec, [])[name],
  component: spec.components?.[`comp-${name}`],
});

describe("tasks", () => {
  test("get names of their own, and their executors", () => {
    const [one] = addTask(emptySpec("p"), [], make);
    const [two, name] = addTask(one, [], make);
    expect(name).toBe("make-2");
    expect(Object.keys(two.deploymentSpec?.executors ?? {})).toEqual(["exec-make", "exec-make-2"]);
  });

  test("leave the specification before as it was", () => {
    const before = grouped();
    const copy = structuredClone(before);
    setInput(before, ["condition-1"], "use", n, fromMake("count"));
    removeTask(before, [], "make");
    changeTask(before, [], "make", (task) => {
      task.cachingOptions = {};
    });
    expect(before).toEqual(copy);
  });

  test("of a sub-pipeline bring what they are made of, whole", () => {
    const whole = (image: string): Component => ({
      name: "whole",
      spec: { dag: { tasks: { step: { componentRef: { name: "comp-step" } } } } },
      components: { "comp-step": { executorLabel: "exec-step" } },
      executors: { "exec-step": { container: { image } } },
    });
    const [one] = addTask(emptySpec("p"), [], whole("a"));
    const [two] = addTask(one, [], whole("b"));
    const [three] = addTask(two, [], whole("a"));
    const images = Object.values(tasksIn(three, [])).map((task) => {
      const dag = three.components?.[task.componentRef?.name ?? ""]?.dag;
      const step = three.components?.[dag?.tasks?.step?.componentRef?.name ?? ""];
      return three.deploymentSpec?.executors?.[step?.executorLabel ?? ""]?.container?.image;
    });
    expect(images).toEqual(["a", "b", "a"]);
    expect(Object.keys(three.deploymentSpec?.executors ?? {})).toHaveLength(2);
  });

  test("that go take along what hangs on them", () => {
    const connected = setInput(
      setInput(grouped(), ["condition-1"], "use", n, fromMake("count")),
      ["condition-1"],
      "use",
      data,
      fromMake("data"),
    );
    const spec = removeTask(connected, [], "make");
    expect(tasksIn(spec, ["condition-1"]).use?.inputs).toEqual({ parameters: {}, artifacts: {} });
    const { task, component } = groupOf(spec);
    expect(task?.inputs).toEqual({ parameters: {}, artifacts: {} });
    expect(component?.inputDefinitions).toEqual({ parameters: {}, artifacts: {} });
    expect(task?.dependentTasks).toEqual([]);
    expect(Object.keys(spec.components ?? {})).toEqual(["comp-condition-1", "comp-use"]);
    expect(Object.keys(spec.deploymentSpec?.executors ?? {})).toEqual(["exec-use"]);
  });

  test("that go empty the condition and the loop that they gave something to", () => {
    let [spec] = addTask(emptySpec("p"), [], make);
    [spec] = addGroup(spec, [], "condition");
    [spec] = addGroup(spec, [], "loop");
    spec = setCondition(spec, [], "condition-1", n, { source: fromMake("count"), operator: ">", value: 3 });
    spec = setItems(spec, [], "for-loop-1", fromMake("list"), "STRING");
    spec = removeTask(spec, [], "make");
    expect(tasksIn(spec, [])["condition-1"]?.triggerPolicy?.condition).toBe("true");
    expect(tasksIn(spec, [])["for-loop-1"]?.parameterIterator?.items).toEqual({ raw: "[]" });
  });
});

describe("inputs", () => {
  test("are led into groups, each of which waits for what it gets", () => {
    const [nested, inner] = addGroup(grouped(), ["condition-1"], "condition");
    const scope = ["condition-1", inner];
    const [spec, name] = addTask(nested, scope, use);
    const connected = setInput(spec, scope, name, data, fromMake("data"));
    expect(tasksIn(connected, [])["condition-1"]?.inputs?.artifacts).toEqual({
      "pipelinechannel--make-data": { taskOutputArtifact: { producerTask: "make", outputArtifactKey: "data" } },
    });
    expect(tasksIn(connected, [])["condition-1"]?.dependentTasks).toEqual(["make"]);
    expect(connected.components?.["comp-condition-1"]?.inputDefinitions?.artifacts).toEqual({
      "pipelinechannel--make-data": dataset,
    });
    const input = tasksIn(connected, scope)[name]?.inputs?.artifacts?.data;
    expect(input).toEqual({ componentInputArtifact: "pipelinechannel--make-data" });
    expect(sourceOf(connected, scope, input)).toEqual(fromMake("data"));
  });

  test("that are set otherwise leave no channel behind", () => {
    const connected = setInput(grouped(), ["condition-1"], "use", n, fromMake("count"));
    const spec = setInput(connected, ["condition-1"], "use", n, { from: "constant", value: 3 });
    const { task, component } = groupOf(spec);
    expect(task?.inputs?.parameters).toEqual({});
    expect(task?.dependentTasks).toEqual([]);
    expect(component?.inputDefinitions?.parameters).toEqual({});
  });

  test("of two tasks share a channel, which stays while one of them uses it", () => {
    const [two] = addTask(grouped(), ["condition-1"], use);
    let spec = setInput(two, ["condition-1"], "use", n, fromMake("count"));
    spec = setInput(spec, ["condition-1"], "use-2", n, fromMake("count"));
    expect(Object.keys(groupOf(spec).task?.inputs?.parameters ?? {})).toHaveLength(1);
    spec = setInput(spec, ["condition-1"], "use", n, undefined);
    expect(Object.keys(groupOf(spec).task?.inputs?.parameters ?? {})).toHaveLength(1);
    spec = setInput(spec, ["condition-1"], "use-2", n, undefined);
    expect(groupOf(spec).task?.inputs?.parameters).toEqual({});
  });

  test("of values whose names run together get channels of their own", () => {
    const producer = (name: string, output: string): Component => ({
      name,
      spec: { outputDefinitions: { parameters: { [output]: number } } },
      executor: { container: { image: name } },
    });
    let spec = addTask(grouped(), [], producer("a-b", "c"))[0];
    spec = addTask(spec, [], producer("a", "b-c"))[0];
    [spec] = addTask(spec, ["condition-1"], use);
    spec = setInput(spec, ["condition-1"], "use", n, { from: "task", scope: [], task: "a-b", output: "c" });
    spec = setInput(spec, ["condition-1"], "use-2", n, { from: "task", scope: [], task: "a", output: "b-c" });
    const inner = tasksIn(spec, ["condition-1"]);
    expect(sourceOf(spec, ["condition-1"], inner.use?.inputs?.parameters?.n)).toMatchObject({ task: "a-b" });
    expect(sourceOf(spec, ["condition-1"], inner["use-2"]?.inputs?.parameters?.n)).toMatchObject({ task: "a" });
  });

  test("close no circle, neither beside each other nor through a group", () => {
    let [spec] = addTask(emptySpec("p"), [], use);
    [spec] = addTask(spec, [], use);
    const twice = (task: string) => ({ from: "task", scope: [], task, output: "twice" }) as const;
    spec = setInput(spec, [], "use-2", n, twice("use"));
    expect(() => setInput(spec, [], "use", n, twice("use-2"))).toThrow("can't wait");
    expect(() => setInput(spec, [], "use", n, twice("use"))).toThrow("can't wait");
    expect(candidates(spec, [], "use", n)).toEqual([]);

    let inGroup = setInput(grouped(), ["condition-1"], "use", n, fromMake("count"));
    inGroup = changeTask(inGroup, [], "make", (task) => {
      task.dependentTasks = [];
    });
    const waits: Component = {
      ...make,
      spec: { ...make.spec, inputDefinitions: { parameters: { after: number } } },
    };
    const [more, name] = addTask(inGroup, [], waits);
    const after = changeTask(more, [], name, (task) => {
      task.dependentTasks = ["condition-1"];
    });
    expect(() =>
      setInput(after, ["condition-1"], "use", n, { from: "task", scope: [], task: name, output: "count" }),
    ).toThrow("can't wait");
  });

  test("take nothing out of a group", () => {
    const [spec] = addTask(grouped(), [], use);
    expect(() =>
      setInput(spec, [], "use-2", n, { from: "task", scope: ["condition-1"], task: "use", output: "twice" }),
    ).toThrow("stays there");
  });

  test("without a value are told of until they have one", () => {
    const spec = grouped();
    expect(problemsOf(spec)).toEqual([{ scope: ["condition-1"], task: "use", port: "n" }]);
    expect(problemsOf(setInput(spec, ["condition-1"], "use", n, { from: "constant", value: 1 }))).toEqual([]);
  });
});

describe("conditions and loops", () => {
  test("compare what is led in, as its type wants it", () => {
    const spec = setCondition(grouped(), [], "condition-1", n, {
      source: fromMake("count"),
      operator: ">=",
      value: 3,
    });
    expect(groupOf(spec).task?.triggerPolicy?.condition).toBe(
      "int(inputs.parameter_values['pipelinechannel--make-count']) >= 3",
    );
    const text: Port = { name: "t", kind: "parameter", type: "STRING" };
    const withInput = setParameter(spec, "mode", { parameterType: "STRING" });
    const quoted = setCondition(withInput, [], "condition-1", text, {
      source: { from: "input", name: "mode" },
      operator: "==",
      value: "it's",
    });
    expect(groupOf(quoted).task?.triggerPolicy?.condition).toBe(
      "inputs.parameter_values['pipelinechannel--mode'] == 'it\\'s'",
    );
    // What the earlier comparison led in is gone.
    expect(Object.keys(groupOf(quoted).task?.inputs?.parameters ?? {})).toEqual(["pipelinechannel--mode"]);
    const without = setParameter(quoted, "mode", undefined);
    expect(groupOf(without).task?.triggerPolicy?.condition).toBe("true");
  });

  test("give their items to what is in them, at any depth", () => {
    let [spec] = addGroup(emptySpec("p"), [], "loop");
    spec = setItems(spec, [], "for-loop-1", [1, 2], "NUMBER_INTEGER");
    [spec] = addGroup(spec, ["for-loop-1"], "condition");
    const scope = ["for-loop-1", "condition-1"];
    [spec] = addTask(spec, scope, use);
    expect(candidates(spec, scope, "use", n)).toEqual([
      { source: { from: "item", loop: "for-loop-1" }, label: "for-loop-1: item" },
    ]);
    spec = setInput(spec, scope, "use", n, { from: "item", loop: "for-loop-1" });
    spec = setCondition(spec, ["for-loop-1"], "condition-1", n, {
      source: { from: "item", loop: "for-loop-1" },
      operator: "!=",
      value: 1,
    });
    expect(sourceOf(spec, scope, tasksIn(spec, scope).use?.inputs?.parameters?.n)).toEqual({
      from: "item",
      loop: "for-loop-1",
    });
    expect(Object.keys(tasksIn(spec, ["for-loop-1"])["condition-1"]?.inputs?.parameters ?? {})).toHaveLength(1);
  });

  test("loop over a list that is made elsewhere", () => {
    let [spec] = addTask(emptySpec("p"), [], make);
    [spec] = addGroup(spec, [], "loop");
    spec = setItems(spec, [], "for-loop-1", fromMake("list"), "NUMBER_INTEGER");
    const { task, component } = groupOf(spec, "for-loop-1");
    expect(task?.parameterIterator?.items).toEqual({ inputParameter: "pipelinechannel--make-list" });
    expect(task?.dependentTasks).toEqual(["make"]);
    expect(component?.inputDefinitions?.parameters).toEqual({
      "pipelinechannel--for-loop-1-loop-item": number,
      "pipelinechannel--make-list": { parameterType: "LIST" },
    });
    const constant = setItems(spec, [], "for-loop-1", ["a"], "STRING");
    expect(groupOf(constant, "for-loop-1").task?.inputs?.parameters).toEqual({});
    expect(groupOf(constant, "for-loop-1").task?.dependentTasks).toEqual([]);
  });
});

test("ports fit by their types", () => {
  const parameter = (type: string): Port => ({ name: "p", kind: "parameter", type });
  const artifact = (type: string, list = false): Port => ({ name: "a", kind: "artifact", type, list });
  expect(fits(parameter("STRING"), parameter("STRING"))).toBe(true);
  expect(fits(parameter("NUMBER_INTEGER"), parameter("NUMBER_DOUBLE"))).toBe(true);
  expect(fits(parameter("NUMBER_DOUBLE"), parameter("NUMBER_INTEGER"))).toBe(false);
  expect(fits(artifact("system.Model"), artifact("system.Artifact"))).toBe(true);
  expect(fits(artifact("system.Model"), artifact("system.Dataset"))).toBe(false);
  expect(fits(artifact("system.Model"), artifact("system.Model", true))).toBe(false);
  expect(fits(parameter("STRING"), artifact("system.Artifact"))).toBe(false);
});
