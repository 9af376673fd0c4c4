import type { Task } from "../api/types";
import { layout, type Placed } from "./layout";
import { type Graph, type GraphNode, graphOf, iterationIndex, type TaskTree } from "./model";
import type { ComponentSpec, PipelineSpec } from "./spec";

// What is drawn: the graphs of the open groups inside each other, every box in the coordinates of the whole.

export interface SceneNode extends Placed {
  node: GraphNode;
  open: boolean;
  depth: number;
  /** Of an open loop: which iteration is shown. */
  iteration?: number;
}

export interface SceneRoute {
  from: string;
  to: string;
  points: { x: number; y: number }[];
}

export interface Scene {
  width: number;
  height: number;
  /** Groups before what is inside of them. */
  nodes: SceneNode[];
  routes: SceneRoute[];
  byId: Map<string, SceneNode>;
}

export interface Opened {
  groups: ReadonlySet<string>;
  /** By the loop's id, the iteration that is shown. */
  iterations: ReadonlyMap<string, number>;
}

export const stepSize = { width: 190, height: 48 };
export const groupSize = { width: 210, height: 66 };
export const groupHead = 38;
const groupPadding = 16;
const spacing = { across: 26, down: 44 };

interface Inner {
  width: number;
  height: number;
  nodes: SceneNode[];
  routes: SceneRoute[];
}

export function sceneOf(spec: PipelineSpec, tree: TaskTree | undefined, opened: Opened): Scene {
  const all = compose(spec, spec.root, "", tree, tree?.root, opened, 0);
  return { ...all, byId: new Map(all.nodes.map((node) => [node.id, node])) };
}

/** Which iteration an open loop shows: the chosen one, or else the first that failed, or else the first. */
export function shownIteration(node: GraphNode, opened: Opened): number {
  const chosen = opened.iterations.get(node.id);
  if (chosen !== undefined) return chosen;
  const failed = node.iterations?.find((task) => task.state === "FAILED");
  return (failed && iterationIndex(failed)) ?? 0;
}

function compose(
  spec: PipelineSpec,
  component: ComponentSpec,
  path: string,
  tree: TaskTree | undefined,
  parent: Task | undefined,
  opened: Opened,
  depth: number,
): Inner {
  const graph: Graph = graphOf(spec, component, path, tree, parent);
  const inners = new Map<string, Inner>();
  const iterations = new Map<string, number>();
  for (const node of graph.nodes) {
    if (!node.component.dag || !opened.groups.has(node.id)) continue;
    let inside = node.task;
    let prefix = `${node.id}/`;
    if (node.kind === "loop") {
      const index = shownIteration(node, opened);
      iterations.set(node.id, index);
      inside = node.iterations?.find((task) => iterationIndex(task) === index);
      prefix = `${node.id}[${index}]/`;
    }
    inners.set(node.id, compose(spec, node.component, prefix, tree, inside, opened, depth + 1));
  }
  const boxes = graph.nodes.map((node) => {
    const inner = inners.get(node.id);
    if (inner)
      return {
        id: node.id,
        width: Math.max(groupSize.width + 60, inner.width + 2 * groupPadding),
        height: Math.max(24, inner.height) + groupHead + 2 * groupPadding,
      };
    return { id: node.id, ...(node.component.dag ? groupSize : stepSize) };
  });
  const { width, height, nodes, routes } = layout(boxes, graph.edges, spacing);
  const out: Inner = { width, height, nodes: [], routes: [...routes] };
  nodes.forEach((placed, at) => {
    const node = graph.nodes[at] as GraphNode;
    const inner = inners.get(node.id);
    out.nodes.push({ ...placed, node, open: inner !== undefined, depth, iteration: iterations.get(node.id) });
    if (!inner) return;
    const dx = placed.x + (placed.width - inner.width) / 2;
    const dy = placed.y + groupHead + groupPadding;
    for (const child of inner.nodes) out.nodes.push({ ...child, x: child.x + dx, y: child.y + dy });
    for (const route of inner.routes)
      out.routes.push({ ...route, points: route.points.map(({ x, y }) => ({ x: x + dx, y: y + dy })) });
  });
  return out;
}

/** What must be open for the task to be seen, and its node's id. */
export function reveal(tree: TaskTree, task: Task): { id: string; groups: string[]; iterations: [string, number][] } {
  const groups: string[] = [];
  const iterations: [string, number][] = [];
  let id = "";
  let prefix = "";
  const path = tree.pathOf(task);
  path.forEach((at, step) => {
    const index = iterationIndex(at);
    if (index !== undefined && tree.byId.get(at.parent_task_id ?? "")?.type === "LOOP") {
      iterations.push([id, index]);
      prefix = `${id}[${index}]/`;
      return;
    }
    id = prefix + at.name;
    prefix = `${id}/`;
    if (step < path.length - 1) groups.push(id);
  });
  return { id, groups, iterations };
}
