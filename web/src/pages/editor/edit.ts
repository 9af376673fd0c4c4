import type { Json } from "../../api/types";
import type { ComponentSpec, ExecutorSpec, InputSpec, ParameterSpec, PipelineSpec, TaskSpec } from "../../graph/spec";
import { dropConsumers, dropOutputs, forget, free, lead, leadIn, refersTo, sweep, tidy, wait } from "./lead";
import {
  EditError,
  fits,
  inputPorts,
  outputPorts,
  type Port,
  parameterType,
  ports,
  producerOf,
  type Scope,
  type Source,
  scopeComponent,
  tasksIn,
  tasksOf,
} from "./ports";

// Changes of a pipeline as it is drawn. The drawing is the PipelineSpec itself, so that any pipeline can be opened and
// nothing of it is lost. Each change gives a new specification and leaves the old one as it was, for undo.

/** A component that can be put into a pipeline. */
export interface Component {
  /** As people see it; made unique where it is put. */
  name: string;
  spec: ComponentSpec;
  executor?: ExecutorSpec;
  /** Of a sub-pipeline: what its tasks are made of, by the names that it uses. */
  components?: { [name: string]: ComponentSpec };
  executors?: { [label: string]: ExecutorSpec };
}

export function emptySpec(name: string): PipelineSpec {
  return {
    pipelineInfo: { name },
    schemaVersion: "2.1.0",
    sdkVersion: "kfp-2.17.0",
    components: {},
    deploymentSpec: { executors: {} },
    root: { dag: { tasks: {} } },
  } as PipelineSpec;
}

const copy = (spec: PipelineSpec): PipelineSpec => structuredClone(spec);

/** Names of tasks and components as compilers write them: lower case, digits and dashes. */
export function slug(text: string): string {
  return (
    text
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-+|-+$/g, "") || "task"
  );
}

function everyTaskName(spec: PipelineSpec): Set<string> {
  const names = new Set<string>();
  for (const component of [spec.root, ...Object.values(spec.components ?? {})])
    for (const name of Object.keys(component.dag?.tasks ?? {})) names.add(name);
  return names;
}

export function addTask(before: PipelineSpec, scope: Scope, component: Component): [PipelineSpec, string] {
  const spec = copy(before);
  const names = everyTaskName(spec);
  const name = free((one) => names.has(one), slug(component.name));
  spec.components ??= {};
  spec.deploymentSpec ??= {};
  spec.deploymentSpec.executors ??= {};
  const all = spec.components;
  const executors = spec.deploymentSpec.executors;
  // What a sub-pipeline brings along gets names of its own where they are taken by something else.
  const renamed = new Map<string, string>();
  for (const [label, executor] of Object.entries(component.executors ?? {})) {
    const same = JSON.stringify(executors[label]) === JSON.stringify(executor);
    renamed.set(label, same ? label : free((one) => one in executors, label));
    executors[renamed.get(label) as string] = structuredClone(executor);
  }
  const bring = (of: string): void => {
    const inner = component.components?.[of];
    if (!inner || renamed.has(of)) return;
    // What it is made of comes first: two are the same when all of theirs is.
    for (const task of Object.values(inner.dag?.tasks ?? {})) bring(task.componentRef?.name ?? "");
    const brought = relabel(structuredClone(inner), renamed);
    const same = JSON.stringify(all[of]) === JSON.stringify(brought);
    renamed.set(of, same ? of : free((one) => one in all, of));
    all[renamed.get(of) as string] = brought;
  };
  for (const of of Object.keys(component.components ?? {})) bring(of);
  const reference = free((one) => one in all, `comp-${name}`);
  const own = relabel(structuredClone(component.spec), renamed);
  if (component.executor) {
    own.executorLabel = free((one) => one in executors, `exec-${name}`);
    executors[own.executorLabel] = structuredClone(component.executor);
  }
  all[reference] = own;
  tasksOf(spec, scope)[name] = {
    taskInfo: { name },
    componentRef: { name: reference },
    cachingOptions: { enableCache: true },
  };
  return [spec, name];
}

function relabel(component: ComponentSpec, renamed: Map<string, string>): ComponentSpec {
  if (component.executorLabel)
    component.executorLabel = renamed.get(component.executorLabel) ?? component.executorLabel;
  for (const task of Object.values(component.dag?.tasks ?? {}))
    if (task.componentRef?.name) task.componentRef.name = renamed.get(task.componentRef.name) ?? task.componentRef.name;
  return component;
}

export type GroupKind = "condition" | "loop";

/** An empty condition or loop. A condition holds until something is compared; a loop goes over an empty list. */
export function addGroup(before: PipelineSpec, scope: Scope, kind: GroupKind): [PipelineSpec, string] {
  const spec = copy(before);
  spec.components ??= {};
  const all = spec.components;
  const stem = kind === "condition" ? "condition" : "for-loop";
  const names = everyTaskName(spec);
  let number = 1;
  while (names.has(`${stem}-${number}`) || `comp-${stem}-${number}` in all) number++;
  const name = `${stem}-${number}`;
  all[`comp-${name}`] = { dag: { tasks: {} } };
  const task: TaskSpec = { taskInfo: { name }, componentRef: { name: `comp-${name}` } };
  if (kind === "condition") task.triggerPolicy = { condition: "true" };
  else {
    const item = `pipelinechannel--${name}-loop-item`;
    (all[`comp-${name}`] as ComponentSpec).inputDefinitions = { parameters: { [item]: { parameterType: "STRING" } } };
    task.parameterIterator = { itemInput: item, items: { raw: "[]" } };
  }
  tasksOf(spec, scope)[name] = task;
  return [spec, name];
}

export function removeTask(before: PipelineSpec, scope: Scope, name: string): PipelineSpec {
  const spec = copy(before);
  const tasks = tasksOf(spec, scope);
  delete tasks[name];
  for (const task of Object.values(tasks)) task.dependentTasks = task.dependentTasks?.filter((one) => one !== name);
  dropConsumers(spec, scope, (input) => producerOf(input)?.task === name);
  dropOutputs(spec, scope, (json) => refersTo(json, name));
  tidy(spec, scope);
  return sweep(spec);
}

/** Sets where an input's value comes from; undefined takes it away, so that the component's default holds. */
export function setInput(
  before: PipelineSpec,
  scope: Scope,
  name: string,
  port: Port,
  source: Source | undefined,
): PipelineSpec {
  const spec = copy(before);
  const task = tasksOf(spec, scope)[name];
  if (!task) throw new EditError(`there is no ${name}`);
  task.inputs ??= {};
  const field = port.kind === "parameter" ? "parameters" : "artifacts";
  const old = task.inputs[field]?.[port.name];
  const inputs: { [input: string]: InputSpec } = { ...task.inputs[field] };
  delete inputs[port.name];
  task.inputs[field] = inputs;
  if (old) forget(task, producerOf(old)?.task);
  if (source) {
    if (source.from === "task" && reaches(spec, scope, name, source))
      throw new EditError("a task can't wait for what waits for it");
    const input = lead(spec, scope, source, port);
    inputs[port.name] = input;
    const producer = producerOf(input)?.task;
    if (producer) wait(task, producer);
  }
  tidy(spec, scope);
  return spec;
}

/** Whether the source's task waits for `name`, or is it, or lies in it. */
function reaches(spec: PipelineSpec, scope: Scope, name: string, source: { scope: Scope; task: string }): boolean {
  // What both see: the tasks of the source's scope, and of them the one that the consumer is or lies in.
  const consumer = scope.length > source.scope.length ? (scope[source.scope.length] as string) : name;
  const tasks = tasksIn(spec, source.scope);
  const seen = new Set<string>();
  const visit = (at: string): boolean => {
    if (at === consumer) return true;
    if (seen.has(at)) return false;
    seen.add(at);
    const task = tasks[at];
    const inputs = [...Object.values(task?.inputs?.parameters ?? {}), ...Object.values(task?.inputs?.artifacts ?? {})];
    return [...(task?.dependentTasks ?? []), ...inputs.flatMap((input) => producerOf(input)?.task ?? [])].some(visit);
  };
  return visit(source.task);
}

/** Every value that could go into the port of a task in `scope`. */
export function candidates(
  spec: PipelineSpec,
  scope: Scope,
  name: string,
  port: Port,
): { source: Source; label: string }[] {
  const found: { source: Source; label: string }[] = [];
  for (const input of ports(spec.root.inputDefinitions))
    if (fits(input, port)) found.push({ source: { from: "input", name: input.name }, label: input.name });
  for (let depth = 0; depth <= scope.length; depth++) {
    const at = scope.slice(0, depth);
    if (depth > 0) {
      const loop = scope[depth - 1] as string;
      const task = tasksIn(spec, scope.slice(0, depth - 1))[loop];
      const item = task?.parameterIterator?.itemInput;
      const type = item && scopeComponent(spec, at).inputDefinitions?.parameters?.[item];
      if (type && fits({ name: item, kind: "parameter", type: parameterType(type) }, port))
        found.push({ source: { from: "item", loop }, label: `${loop}: item` });
    }
    for (const [other, task] of Object.entries(tasksIn(spec, at))) {
      if (other === name && depth === scope.length) continue;
      const component = spec.components?.[task.componentRef?.name ?? ""] ?? {};
      for (const output of outputPorts(component)) {
        const source: Source = { from: "task", scope: at, task: other, output: output.name };
        if (fits(output, port) && !reaches(spec, scope, name, source))
          found.push({ source, label: `${other}.${output.name}` });
      }
    }
  }
  return found;
}

// --- The rest of what is set ---

export function changeTask(
  before: PipelineSpec,
  scope: Scope,
  name: string,
  change: (task: TaskSpec) => void,
): PipelineSpec {
  const spec = copy(before);
  const task = tasksOf(spec, scope)[name];
  if (task) change(task);
  return spec;
}

export interface Comparison {
  source: Source;
  operator: "==" | "!=" | ">" | ">=" | "<" | "<=";
  value: string | number | boolean;
}

/** The condition that a comparison is, after what it compares has been led in. */
export function setCondition(
  before: PipelineSpec,
  scope: Scope,
  name: string,
  port: Port,
  { source, operator, value }: Comparison,
): PipelineSpec {
  const spec = copy(before);
  const task = tasksOf(spec, scope)[name];
  if (!task) throw new EditError(`there is no ${name}`);
  if (source.from === "task" && reaches(spec, scope, name, source))
    throw new EditError("a task can't wait for what waits for it");
  const channel = leadIn(spec, [...scope, name], source, port);
  const written = typeof value === "string" ? `'${value.replace(/\\/g, "\\\\").replace(/'/g, "\\'")}'` : String(value);
  const read = `inputs.parameter_values['${channel}']`;
  const numeric = typeof value === "number" && port.type === "NUMBER_INTEGER" ? `int(${read})` : read;
  task.triggerPolicy = { ...task.triggerPolicy, condition: `${numeric} ${operator} ${written}` };
  tidy(spec, [...scope, name]);
  return spec;
}

/** The items of a loop: values, or a list that is made elsewhere. Their type is that of the values, or text. */
export function setItems(
  before: PipelineSpec,
  scope: Scope,
  name: string,
  items: Json[] | Source,
  itemType: string,
): PipelineSpec {
  const spec = copy(before);
  const task = tasksOf(spec, scope)[name];
  if (!task) throw new EditError(`there is no ${name}`);
  const component = scopeComponent(spec, [...scope, name]);
  const item = task.parameterIterator?.itemInput ?? `pipelinechannel--${name}-loop-item`;
  const parameters: { [name: string]: ParameterSpec } = {
    ...component.inputDefinitions?.parameters,
    [item]: { parameterType: itemType },
  };
  component.inputDefinitions = { ...component.inputDefinitions, parameters };
  if (Array.isArray(items)) {
    task.parameterIterator = { itemInput: item, items: { raw: JSON.stringify(items) } };
    tidy(spec, [...scope, name]);
    return spec;
  }
  if (items.from === "task" && reaches(spec, scope, name, items))
    throw new EditError("a task can't wait for what waits for it");
  const port: Port = { name: "items", kind: "parameter", type: "LIST" };
  const channel = leadIn(spec, [...scope, name], items, port);
  task.parameterIterator = { itemInput: item, items: { inputParameter: channel } };
  tidy(spec, [...scope, name]);
  return spec;
}

export function setParameter(before: PipelineSpec, name: string, parameter: ParameterSpec | undefined): PipelineSpec {
  const spec = copy(before);
  const definitions = spec.root.inputDefinitions ?? {};
  const parameters: { [name: string]: ParameterSpec } = { ...definitions.parameters };
  if (parameter) parameters[name] = parameter;
  else {
    delete parameters[name];
    dropConsumers(spec, [], (input) => input.componentInputParameter === name);
  }
  spec.root.inputDefinitions = { ...definitions, parameters };
  return spec;
}

export interface Problem {
  scope: Scope;
  task: string;
  port: string;
}

/** Inputs that need a value and have none. */
export function problemsOf(spec: PipelineSpec, scope: Scope = []): Problem[] {
  return Object.entries(tasksIn(spec, scope)).flatMap(([name, task]) => {
    const component = spec.components?.[task.componentRef?.name ?? ""] ?? {};
    const missing = inputPorts(component)
      .filter(({ name: input, kind, optional }) => {
        const given = kind === "parameter" ? task.inputs?.parameters?.[input] : task.inputs?.artifacts?.[input];
        return !given && !optional;
      })
      .map(({ name: port }) => ({ scope, task: name, port }));
    const isGroup = component.dag && !task.componentRef?.name?.match(/^comp-(?!condition|for-loop|exit-handler)/);
    return [...missing, ...(isGroup ? problemsOf(spec, [...scope, name]) : [])];
  });
}
