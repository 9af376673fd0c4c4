import { layout } from "../../graph/layout";
import { type ComponentSpec, componentOf, type PipelineSpec, type TaskSpec } from "../../graph/spec";
import { inputPorts, outputPorts, type Port, producerOf, type Scope, sourceOf, tasksIn } from "./ports";

// What the editor draws: tasks with their ports, left to right, groups around what is in them.

export interface EditorNode {
  id: string;
  scope: Scope;
  name: string;
  task: TaskSpec;
  component: ComponentSpec;
  /** It is drawn open, with its tasks inside. */
  group: boolean;
  inputs: Port[];
  outputs: Port[];
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface EditorEdge {
  id: string;
  from: { x: number; y: number };
  to: { x: number; y: number };
}

export interface EditorScene {
  width: number;
  height: number;
  nodes: EditorNode[];
  edges: EditorEdge[];
}

export const headHeight = 34;
export const portHeight = 22;
const width = 220;
const padding = 22;
const spacing = { across: 26, down: 80 };

export const nodeId = (scope: Scope, name: string) => [...scope, name].join("/");

/** Conditions and loops are open, and what the compiler makes around them; sub-pipelines are one box with their ports. */
export const isOpenGroup = (task: TaskSpec, component: ComponentSpec): boolean =>
  component.dag !== undefined &&
  (task.parameterIterator !== undefined ||
    task.triggerPolicy?.condition !== undefined ||
    /^comp-(condition|exit-handler|for-loop)-/.test(task.componentRef?.name ?? ""));

export function editorScene(spec: PipelineSpec): EditorScene {
  const { nodes, width: w, height: h } = compose(spec, []);
  return { nodes, width: w, height: h, edges: edgesOf(spec, nodes) };
}

function compose(spec: PipelineSpec, scope: Scope): { nodes: EditorNode[]; width: number; height: number } {
  const tasks = tasksIn(spec, scope);
  const inners = new Map<string, ReturnType<typeof compose>>();
  const made = Object.entries(tasks).map(([name, task]): EditorNode => {
    const component = componentOf(spec, task);
    const group = isOpenGroup(task, component);
    const inputs = group ? [] : inputPorts(component);
    const outputs = group ? [] : outputPorts(component);
    const node = {
      id: nodeId(scope, name),
      scope,
      name,
      task,
      component,
      group,
      inputs,
      outputs,
      x: 0,
      y: 0,
      width,
      height: 0,
    };
    if (group) {
      const inner = compose(spec, [...scope, name]);
      inners.set(name, inner);
      return {
        ...node,
        width: Math.max(width, inner.width + 2 * padding),
        height: Math.max(60, inner.height) + headHeight + 2 * padding,
      };
    }
    return { ...node, height: headHeight + Math.max(1, inputs.length, outputs.length) * portHeight + 10 };
  });
  // The layout goes downwards: turned, it goes to the right.
  const placed = layout(
    made.map((node) => ({ id: node.name, width: node.height, height: node.width })),
    made.flatMap(({ name, task }) => producersIn(task).map((from) => ({ from, to: name }))),
    spacing,
  );
  const at = new Map(placed.nodes.map(({ id, x, y }) => [id, { x: y, y: x }]));
  const nodes = made.flatMap((node) => {
    const { x, y } = at.get(node.name) ?? { x: 0, y: 0 };
    const inner = inners.get(node.name);
    const own = { ...node, x, y };
    if (!inner) return [own];
    const inside = inner.nodes.map((child) => ({
      ...child,
      x: child.x + x + padding,
      y: child.y + y + headHeight + padding,
    }));
    return [own, ...inside];
  });
  return { nodes, width: placed.height, height: placed.width };
}

function producersIn(task: TaskSpec): string[] {
  const inputs = [...Object.values(task.inputs?.parameters ?? {}), ...Object.values(task.inputs?.artifacts ?? {})];
  return [...(task.dependentTasks ?? []), ...inputs.flatMap((input) => producerOf(input)?.task ?? [])];
}

/** Where the port's dot is. */
export function portAt(node: EditorNode, side: "in" | "out", name: string): { x: number; y: number } {
  const list = side === "in" ? node.inputs : node.outputs;
  const index = list.findIndex((port) => port.name === name);
  const y = index < 0 ? node.y + headHeight / 2 : node.y + headHeight + 4 + (index + 0.5) * portHeight;
  return { x: side === "in" ? node.x : node.x + node.width, y };
}

function edgesOf(spec: PipelineSpec, nodes: EditorNode[]): EditorEdge[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const edges: EditorEdge[] = [];
  for (const node of nodes) {
    const inputs = Object.entries({ ...node.task.inputs?.parameters, ...node.task.inputs?.artifacts });
    const drawn = new Set<string>();
    for (const [name, input] of inputs) {
      const source = sourceOf(spec, node.scope, input);
      if (source?.from !== "task") continue;
      // What only passes through a group is drawn where it arrives, unless the group itself uses it.
      const passes = node.group && !usesItself(node.task, name);
      const producer = byId.get(nodeId(source.scope, source.task));
      if (!producer || passes) continue;
      drawn.add(source.task);
      edges.push({
        id: `${producer.id} ${source.output} ${node.id} ${name}`,
        from: portAt(producer, "out", source.output),
        to: portAt(node, "in", name),
      });
    }
    for (const name of node.task.dependentTasks ?? []) {
      const producer = byId.get(nodeId(node.scope, name));
      const fromInputs = inputs.some(([, input]) => producerOf(input)?.task === name);
      if (!producer || fromInputs || drawn.has(name)) continue;
      edges.push({
        id: `${producer.id} ${node.id}`,
        from: { x: producer.x + producer.width, y: producer.y + headHeight / 2 },
        to: { x: node.x, y: node.y + headHeight / 2 },
      });
    }
  }
  return edges;
}

const usesItself = (task: TaskSpec, input: string): boolean =>
  task.parameterIterator?.items?.inputParameter === input ||
  (task.triggerPolicy?.condition?.includes(`'${input}'`) ?? false);
