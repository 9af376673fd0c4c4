import { describe, expect, test } from "vitest";
import type { JsonObject } from "../api/types";
import { graphOf } from "./model";
import { workflowGraphOf } from "./workflow";

const workflow = (templates: object[], rest: object = {}) =>
  ({ kind: "Workflow", spec: { entrypoint: "main", templates, ...rest } }) as unknown as JsonObject;
const step = (name: string) => ({ name, container: { image: "busybox", command: ["true"] } });

function edges(spec: ReturnType<typeof workflowGraphOf>): string[] {
  if (!spec) throw new Error("there is no graph");
  return graphOf(spec, spec.root, "")
    .edges.map(({ from, to }) => `${from} ${to}`)
    .sort();
}

describe("the graph of a workflow", () => {
  test("has a dag's tasks after what they wait for, name or are given by", () => {
    const spec = workflowGraphOf(
      workflow([
        step("s"),
        {
          name: "main",
          dag: {
            tasks: [
              { name: "a", template: "s" },
              { name: "b", template: "s", dependencies: ["a"] },
              { name: "c", template: "s", depends: "a.Succeeded && b-2.Failed" },
              { name: "b-2", template: "s", when: "{{tasks.a.outputs.result}} == 1" },
              {
                name: "d",
                template: "s",
                arguments: { parameters: [{ name: "x", value: "{{tasks.b.outputs.result}}" }] },
              },
            ],
          },
        },
      ]),
    );
    expect(edges(spec)).toEqual(["a b", "a b-2", "a c", "b d", "b-2 c"]);
    expect(spec?.root.dag?.tasks?.["b-2"]?.triggerPolicy?.condition).toContain("== 1");
  });

  test("has groups of steps one after the other", () => {
    const spec = workflowGraphOf(
      workflow([
        step("s"),
        {
          name: "main",
          steps: [
            [{ name: "a", template: "s" }],
            [
              { name: "b", template: "s" },
              { name: "c", template: "s" },
            ],
          ],
        },
      ]),
    );
    expect(edges(spec)).toEqual(["a b", "a c"]);
  });

  test("knows loops, sub-dags, single steps and parameters", () => {
    const spec = workflowGraphOf(
      workflow(
        [
          step("s"),
          { name: "inner", dag: { tasks: [{ name: "x", template: "s" }] } },
          { name: "main", dag: { tasks: [{ name: "each", template: "inner", withItems: [1, 2] }] } },
        ],
        { arguments: { parameters: [{ name: "who", value: "you" }, { name: "needed" }] } },
      ),
    );
    const node = spec && graphOf(spec, spec.root, "").nodes[0];
    expect(node?.kind).toBe("loop");
    expect(Object.keys(node?.component.dag?.tasks ?? {})).toEqual(["x"]);
    expect(spec?.root.inputDefinitions?.parameters).toMatchObject({
      who: { defaultValue: "you" },
      needed: { parameterType: "STRING" },
    });
    const single = workflowGraphOf({
      kind: "Workflow",
      spec: { entrypoint: "s", templates: [step("s")] },
    } as unknown as JsonObject);
    expect(Object.keys(single?.root.dag?.tasks ?? {})).toEqual(["s"]);
    expect(workflowGraphOf({ kind: "Workflow", spec: { entrypoint: "none", templates: [] } })).toBeUndefined();
  });
});
