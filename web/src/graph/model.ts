import type { Task, TaskState } from "../api/types";
import { type ComponentSpec, componentOf, executorOf, type PipelineSpec, producersOf, type TaskSpec } from "./spec";

// The pipeline as a tree of graphs: what the specification says will run, joined with the tasks of a run so far.

export type NodeKind = "step" | "importer" | "dag" | "loop" | "condition" | "exit";

export interface GraphNode {
  /** The path from the root, as `train` or `for-loop-1[3]/square`: unique, and the same from run to run. */
  id: string;
  label: string;
  kind: NodeKind;
  spec: TaskSpec;
  component: ComponentSpec;
  task?: Task;
  state?: TaskState;
  /** The condition that it runs under, in the specification's language. */
  condition?: string;
  /** It runs after the others in any case: the exit handler's task. */
  always: boolean;
  /** Of what is inside of it: how many tasks are in each state. */
  counts?: Counts;
  /** A loop's iterations, in their order. */
  iterations?: Task[];
}

export interface GraphEdge {
  from: string;
  to: string;
}

export interface Graph {
  nodes: GraphNode[];
  edges: GraphEdge[];
}

export type Counts = Partial<Record<TaskState, number>>;

/** The run's tasks by parent: what the model looks them up in. */
export class TaskTree {
  readonly byId = new Map<string, Task>();
  private readonly children = new Map<string, Task[]>();
  private readonly counted = new Map<string, Counts>();
  readonly root: Task | undefined;

  constructor(readonly tasks: Task[]) {
    for (const task of tasks) {
      this.byId.set(task.task_id, task);
      if (task.parent_task_id === undefined) continue;
      const siblings = this.children.get(task.parent_task_id);
      if (siblings) siblings.push(task);
      else this.children.set(task.parent_task_id, [task]);
    }
    this.root = tasks.find((task) => task.parent_task_id === undefined);
  }

  childrenOf(task: Task | undefined): Task[] {
    return (task && this.children.get(task.task_id)) ?? [];
  }

  /** The states of the leaves below the task. */
  counts(task: Task): Counts {
    const known = this.counted.get(task.task_id);
    if (known) return known;
    const counts: Counts = {};
    for (const child of this.childrenOf(task)) {
      const below =
        this.childrenOf(child).length > 0 || isGroup(child) ? this.counts(child) : { [child.state ?? "PENDING"]: 1 };
      for (const [state, count] of Object.entries(below) as [TaskState, number][])
        counts[state] = (counts[state] ?? 0) + count;
    }
    this.counted.set(task.task_id, counts);
    return counts;
  }

  /** From the root's child down to the task. */
  pathOf(task: Task): Task[] {
    const path: Task[] = [];
    for (let at: Task | undefined = task; at?.parent_task_id !== undefined; at = this.byId.get(at.parent_task_id))
      path.unshift(at);
    return path;
  }
}

const isGroup = (task: Task): boolean =>
  task.type !== undefined && ["DAG", "LOOP", "CONDITION", "CONDITION_BRANCH", "EXIT_HANDLER"].includes(task.type);

export function iterationIndex(task: Task): number | undefined {
  const index = task.type_attributes?.iteration_index;
  return index === undefined ? undefined : Number(index);
}

function kindOf(spec: PipelineSpec, task: TaskSpec, component: ComponentSpec): NodeKind {
  if (task.parameterIterator || task.artifactIterator) return "loop";
  if (component.dag) {
    const name = task.componentRef?.name ?? "";
    if (name.startsWith("comp-exit-handler-")) return "exit";
    if (name.startsWith("comp-condition-")) return "condition";
    return "dag";
  }
  return executorOf(spec, component)?.importer ? "importer" : "step";
}

/**
 * The graph of one component's DAG. `parent` is the run's task that this DAG is (for a loop: the iteration), if there is
 * a run and it has come so far; `path` the parent node's id with a slash, or empty at the root.
 */
export function graphOf(
  spec: PipelineSpec,
  component: ComponentSpec,
  path: string,
  tree?: TaskTree,
  parent?: Task,
): Graph {
  const tasks = component.dag?.tasks ?? {};
  const byName = new Map(tree?.childrenOf(parent).map((task) => [task.name, task]));
  const nodes: GraphNode[] = Object.entries(tasks).map(([name, task]) => {
    const inner = componentOf(spec, task);
    const running = byName.get(name);
    const node: GraphNode = {
      id: path + name,
      label: running?.display_name ?? task.taskInfo?.name ?? name,
      kind: kindOf(spec, task, inner),
      spec: task,
      component: inner,
      task: running,
      state: running?.state,
      condition: task.triggerPolicy?.condition,
      always: task.triggerPolicy?.strategy === "ALL_UPSTREAM_TASKS_COMPLETED",
    };
    if (running && inner.dag) node.counts = tree?.counts(running);
    if (running && node.kind === "loop")
      node.iterations = tree
        ?.childrenOf(running)
        .filter((child) => iterationIndex(child) !== undefined)
        .sort((a, b) => (iterationIndex(a) ?? 0) - (iterationIndex(b) ?? 0));
    return node;
  });
  const edges = Object.entries(tasks).flatMap(([name, task]) =>
    producersOf(task)
      .filter((producer) => producer in tasks)
      .map((producer) => ({ from: path + producer, to: path + name })),
  );
  return { nodes, edges };
}

/**
 * The chain of tasks that the run's length comes from: from the one that ended last, back through whichever of those
 * that it waited for ended last. Groups are followed into. Ids are those of the run's tasks.
 */
export function criticalPath(spec: PipelineSpec, tree: TaskTree): Set<string> {
  const critical = new Set<string>();
  const endOf = (task: Task) => Date.parse(task.end_time ?? task.start_time ?? task.create_time);
  const latest = (tasks: Task[]) =>
    tasks.reduce<Task | undefined>((best, task) => (best && endOf(best) >= endOf(task) ? best : task), undefined);

  function follow(component: ComponentSpec, parent: Task) {
    const byName = new Map(tree.childrenOf(parent).map((task) => [task.name, task]));
    const tasks = component.dag?.tasks ?? {};
    let at = latest([...byName.values()].filter((task) => task.name in tasks && task.start_time !== undefined));
    while (at !== undefined && !critical.has(at.task_id)) {
      critical.add(at.task_id);
      const taskSpec = tasks[at.name];
      if (taskSpec === undefined) break;
      const inner = componentOf(spec, taskSpec);
      if (inner.dag) {
        const iterations = tree.childrenOf(at).filter((child) => iterationIndex(child) !== undefined);
        const slowest = iterations.length > 0 ? latest(iterations) : at;
        if (slowest) {
          critical.add(slowest.task_id);
          follow(inner, slowest);
        }
      }
      at = latest(producersOf(taskSpec).flatMap((name) => byName.get(name) ?? []));
    }
  }
  if (tree.root) follow(spec.root, tree.root);
  return critical;
}

/** The first task, in order of time, that failed of itself: not one that failed because something inside of it did. */
export function firstFailure(tree: TaskTree): Task | undefined {
  return tree.tasks
    .filter((task) => task.state === "FAILED" && tree.childrenOf(task).length === 0)
    .sort((a, b) => (a.end_time ?? "").localeCompare(b.end_time ?? ""))[0];
}
