import type { Json } from "../../api/types";
import type {
  ArtifactSpec,
  ComponentSpec,
  ExecutorSpec,
  InputSpec,
  ParameterSpec,
  PipelineSpec,
  TaskSpec,
} from "../../graph/spec";

// Changes of a pipeline as it is drawn. The drawing is the PipelineSpec itself, so that any pipeline can be opened and
// nothing of it is lost. A scope is the path of the groups from the root: [] is the root's DAG, ["for-loop-1"] that of the
// root's task of this name. Each change gives a new specification and leaves the old one as it was, for undo.

export type Scope = readonly string[];

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

export class EditError extends Error {}

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

/** The component whose DAG the scope is. */
export function scopeComponent(spec: PipelineSpec, scope: Scope): ComponentSpec {
  let component = spec.root;
  for (const name of scope) {
    const task = component.dag?.tasks?.[name];
    const inner = task && spec.components?.[task.componentRef?.name ?? ""];
    if (!inner) throw new EditError(`there is no ${name}`);
    component = inner;
  }
  return component;
}

export function tasksOf(spec: PipelineSpec, scope: Scope): { [name: string]: TaskSpec } {
  const component = scopeComponent(spec, scope);
  component.dag ??= {};
  component.dag.tasks ??= {};
  return component.dag.tasks;
}

/** The name, or it with the first number from 2 that nobody has. */
function free(taken: (name: string) => boolean, name: string): string {
  if (!taken(name)) return name;
  for (let number = 2; ; number++) if (!taken(`${name}-${number}`)) return `${name}-${number}`;
}

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
  const brought = Object.entries(component.components ?? {});
  for (const [of, inner] of brought) {
    const same = JSON.stringify(all[of]) === JSON.stringify(inner);
    renamed.set(of, same ? of : free((one) => one in all, of));
  }
  for (const [of, inner] of brought) all[renamed.get(of) as string] = relabel(structuredClone(inner), renamed);
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
  for (const task of Object.values(tasks)) {
    task.dependentTasks = task.dependentTasks?.filter((one) => one !== name);
    for (const inputs of [task.inputs?.parameters, task.inputs?.artifacts])
      for (const [input, from] of Object.entries(inputs ?? {}))
        if (producerOf(from)?.task === name) delete (inputs as { [input: string]: InputSpec })[input];
  }
  const component = scopeComponent(spec, scope);
  const outputs = component.dag?.outputs as OutputMap | undefined;
  for (const map of [outputs?.parameters, outputs?.artifacts])
    for (const output of Object.keys(map ?? {}))
      if (JSON.stringify(map?.[output]).includes(JSON.stringify(name))) {
        delete map?.[output];
        delete component.outputDefinitions?.parameters?.[output];
        delete component.outputDefinitions?.artifacts?.[output];
      }
  return sweep(spec);
}

type OutputMap = { parameters?: { [name: string]: Json }; artifacts?: { [name: string]: Json } };

/** Drops components and executors that no task is made of any more. */
function sweep(spec: PipelineSpec): PipelineSpec {
  const used = new Set<string>();
  const visit = (component: ComponentSpec) => {
    for (const task of Object.values(component.dag?.tasks ?? {})) {
      const name = task.componentRef?.name ?? "";
      const inner = spec.components?.[name];
      if (!inner || used.has(name)) continue;
      used.add(name);
      visit(inner);
    }
  };
  visit(spec.root);
  for (const name of Object.keys(spec.components ?? {})) if (!used.has(name)) delete spec.components?.[name];
  const labels = new Set(Object.values(spec.components ?? {}).map(({ executorLabel }) => executorLabel));
  for (const label of Object.keys(spec.deploymentSpec?.executors ?? {}))
    if (!labels.has(label)) delete spec.deploymentSpec?.executors?.[label];
  return spec;
}

// --- Ports ---

export interface Port {
  name: string;
  kind: "parameter" | "artifact";
  /** `NUMBER_INTEGER`; of an artifact `system.Model`. */
  type: string;
  list?: boolean;
  optional?: boolean;
}

const parameterType = (spec: ParameterSpec): string => {
  const older: { [type: string]: string } = { INT: "NUMBER_INTEGER", DOUBLE: "NUMBER_DOUBLE" };
  const type = spec.parameterType ?? spec.type ?? "STRING";
  return older[type] ?? type;
};

function ports(definitions: ComponentSpec["inputDefinitions"]): Port[] {
  const parameters = Object.entries(definitions?.parameters ?? {}).map(
    ([name, spec]): Port => ({
      name,
      kind: "parameter",
      type: parameterType(spec),
      optional: spec.isOptional || spec.defaultValue !== undefined,
    }),
  );
  const artifacts = Object.entries(definitions?.artifacts ?? {}).map(
    ([name, spec]: [string, ArtifactSpec]): Port => ({
      name,
      kind: "artifact",
      type: spec.artifactType?.schemaTitle ?? "system.Artifact",
      list: spec.isArtifactList,
      optional: spec.isOptional,
    }),
  );
  return [...parameters, ...artifacts];
}

const isChannel = (name: string) => name.startsWith("pipelinechannel--");

/** What people connect: of a group none of the channels that values come in by. */
export const inputPorts = (component: ComponentSpec): Port[] =>
  ports(component.inputDefinitions).filter(({ name }) => !isChannel(name));
export const outputPorts = (component: ComponentSpec): Port[] => ports(component.outputDefinitions);

/** Whether what comes out of one may go into the other. */
export function fits(output: Port, input: Port): boolean {
  if (output.kind !== input.kind || !!output.list !== !!input.list) return false;
  if (output.type === input.type) return true;
  // Every artifact is an artifact; an integer is a number.
  if (output.kind === "artifact") return input.type === "system.Artifact";
  return output.type === "NUMBER_INTEGER" && input.type === "NUMBER_DOUBLE";
}

// --- Where a value comes from ---

export type Source =
  | { from: "constant"; value: Json }
  | { from: "input"; name: string }
  | { from: "task"; scope: Scope; task: string; output: string }
  | { from: "item"; loop: string }
  | { from: "other" };

export function producerOf(input: InputSpec): { task: string; output: string } | undefined {
  const { taskOutputParameter: parameter, taskOutputArtifact: artifact } = input;
  if (parameter?.producerTask) return { task: parameter.producerTask, output: parameter.outputParameterKey ?? "" };
  if (artifact?.producerTask) return { task: artifact.producerTask, output: artifact.outputArtifactKey ?? "" };
  return undefined;
}

/** Follows an input of a task through the groups around it to where its value is made. */
export function sourceOf(spec: PipelineSpec, scope: Scope, input: InputSpec | undefined): Source | undefined {
  if (!input) return undefined;
  if (input.runtimeValue) return { from: "constant", value: input.runtimeValue.constant ?? null };
  const producer = producerOf(input);
  if (producer) return { from: "task", scope, ...producer };
  const outer = input.componentInputParameter ?? input.componentInputArtifact;
  if (outer === undefined) return { from: "other" };
  if (scope.length === 0) return { from: "input", name: outer };
  const around = scope.slice(0, -1);
  const group = tasksOf(structuredClone(spec), around)[scope.at(-1) as string];
  if (group?.parameterIterator?.itemInput === outer || group?.artifactIterator?.itemInput === outer)
    return { from: "item", loop: scope.at(-1) as string };
  return sourceOf(spec, around, group?.inputs?.parameters?.[outer] ?? group?.inputs?.artifacts?.[outer]);
}

/**
 * What an input of a task in `scope` says to get the source's value, after the value has been led in through every group
 * between where it is made and the task.
 */
function lead(spec: PipelineSpec, scope: Scope, source: Source, port: Port): InputSpec {
  if (source.from === "constant") return { runtimeValue: { constant: source.value } };
  if (source.from === "other") throw new EditError("this value can't be set here");
  const made: Scope =
    source.from === "task" ? source.scope : source.from === "input" ? [] : loopScope(scope, source.loop);
  if (made.some((name, at) => scope[at] !== name)) throw new EditError("what is made inside of a group stays there");
  const artifact = port.kind === "artifact";
  if (scope.length > made.length) {
    const group = scope.at(-1) as string;
    const around = scope.slice(0, -1);
    const channel =
      source.from === "input"
        ? `pipelinechannel--${source.name}`
        : source.from === "task"
          ? `pipelinechannel--${source.task}-${source.output}`
          : itemOf(spec, made);
    const task = tasksOf(spec, around)[group] as TaskSpec;
    const outer = lead(spec, around, source, port);
    task.inputs ??= {};
    const component = scopeComponent(spec, scope);
    const definitions: NonNullable<ComponentSpec["inputDefinitions"]> = component.inputDefinitions ?? {};
    component.inputDefinitions = definitions;
    if (artifact) {
      task.inputs.artifacts = { ...task.inputs.artifacts, [channel]: outer };
      definitions.artifacts = {
        ...definitions.artifacts,
        [channel]: definitions.artifacts?.[channel] ?? artifactOf(spec, source, port),
      };
      return { componentInputArtifact: channel };
    }
    task.inputs.parameters = { ...task.inputs.parameters, [channel]: outer };
    definitions.parameters = {
      ...definitions.parameters,
      [channel]: definitions.parameters?.[channel] ?? { parameterType: port.type },
    };
    if (outer.taskOutputParameter?.producerTask) wait(task, outer.taskOutputParameter.producerTask);
    return { componentInputParameter: channel };
  }
  switch (source.from) {
    case "input":
      return artifact ? { componentInputArtifact: source.name } : { componentInputParameter: source.name };
    case "item":
      return { componentInputParameter: itemOf(spec, made) };
    case "task":
      return artifact
        ? { taskOutputArtifact: { producerTask: source.task, outputArtifactKey: source.output } }
        : { taskOutputParameter: { producerTask: source.task, outputParameterKey: source.output } };
  }
}

function artifactOf(spec: PipelineSpec, source: Source, port: Port): ArtifactSpec {
  if (source.from === "task") {
    const producer = tasksOf(spec, source.scope)[source.task];
    const found = spec.components?.[producer?.componentRef?.name ?? ""]?.outputDefinitions?.artifacts?.[source.output];
    if (found) return structuredClone(found);
  }
  return { artifactType: { schemaTitle: port.type, schemaVersion: "0.0.1" } };
}

/** The scope of the loop of that name around `scope`. */
function loopScope(scope: Scope, loop: string): Scope {
  const at = scope.lastIndexOf(loop);
  if (at < 0) throw new EditError(`${loop} is not around this`);
  return scope.slice(0, at + 1);
}

function itemOf(spec: PipelineSpec, loop: Scope): string {
  const task = tasksOf(spec, loop.slice(0, -1))[loop.at(-1) as string];
  return task?.parameterIterator?.itemInput ?? task?.artifactIterator?.itemInput ?? "";
}

function wait(task: TaskSpec, producer: string): void {
  if (!task.dependentTasks?.includes(producer)) task.dependentTasks = [...(task.dependentTasks ?? []), producer];
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
  return spec;
}

/** The task waits for the producer no longer, unless another of its inputs comes from there. */
function forget(task: TaskSpec, producer: string | undefined): void {
  if (producer === undefined) return;
  const inputs = [...Object.values(task.inputs?.parameters ?? {}), ...Object.values(task.inputs?.artifacts ?? {})];
  if (inputs.some((input) => producerOf(input)?.task === producer)) return;
  task.dependentTasks = task.dependentTasks?.filter((one) => one !== producer);
}

/** Whether the source's task waits for `name`, or is it, or lies in it. */
function reaches(spec: PipelineSpec, scope: Scope, name: string, source: { scope: Scope; task: string }): boolean {
  // What both see: the tasks of the source's scope, and of them the one that the consumer is or lies in.
  const consumer = scope.length > source.scope.length ? (scope[source.scope.length] as string) : name;
  const tasks = tasksOf(spec, source.scope);
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
      const task = tasksOf(structuredClone(spec), scope.slice(0, depth - 1))[loop];
      const item = task?.parameterIterator?.itemInput;
      const type = item && scopeComponent(spec, at).inputDefinitions?.parameters?.[item];
      if (type && fits({ name: item, kind: "parameter", type: parameterType(type) }, port))
        found.push({ source: { from: "item", loop }, label: `${loop}: item` });
    }
    for (const [other, task] of Object.entries(tasksOf(structuredClone(spec), at))) {
      if (other === name && depth === scope.length) continue;
      const component = spec.components?.[task.componentRef?.name ?? ""] ?? {};
      for (const output of outputPorts(component)) {
        const source: Source = { from: "task", scope: at, task: other, output: output.name };
        if (fits(output, port) && !reaches(structuredClone(spec), scope, name, source))
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
  const input = lead(spec, scope, source, port);
  const channel =
    source.from === "input"
      ? `pipelinechannel--${source.name}`
      : source.from === "task"
        ? `pipelinechannel--${source.task}-${source.output}`
        : `pipelinechannel--item`;
  task.inputs ??= {};
  task.inputs.parameters = { ...task.inputs.parameters, [channel]: input };
  const component = scopeComponent(spec, [...scope, name]);
  const definitions: NonNullable<ComponentSpec["inputDefinitions"]> = component.inputDefinitions ?? {};
  component.inputDefinitions = definitions;
  definitions.parameters = { ...definitions.parameters, [channel]: { parameterType: port.type } };
  const producer = producerOf(input)?.task;
  if (producer) wait(task, producer);
  const written = typeof value === "string" ? `'${value.replace(/\\/g, "\\\\").replace(/'/g, "\\'")}'` : String(value);
  const read = `inputs.parameter_values['${channel}']`;
  const numeric = typeof value === "number" && port.type === "NUMBER_INTEGER" ? `int(${read})` : read;
  task.triggerPolicy = { ...task.triggerPolicy, condition: `${numeric} ${operator} ${written}` };
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
    return spec;
  }
  if (items.from === "task" && reaches(spec, scope, name, items))
    throw new EditError("a task can't wait for what waits for it");
  const port: Port = { name: "items", kind: "parameter", type: "LIST" };
  const input = lead(spec, scope, items, port);
  const channel =
    items.from === "input"
      ? `pipelinechannel--${items.name}`
      : items.from === "task"
        ? `pipelinechannel--${items.task}-${items.output}`
        : "pipelinechannel--items";
  task.inputs ??= {};
  task.inputs.parameters = { ...task.inputs.parameters, [channel]: input };
  parameters[channel] = { parameterType: "LIST" };
  const producer = producerOf(input)?.task;
  if (producer) wait(task, producer);
  task.parameterIterator = { itemInput: item, items: { inputParameter: channel } };
  return spec;
}

export function setParameter(before: PipelineSpec, name: string, parameter: ParameterSpec | undefined): PipelineSpec {
  const spec = copy(before);
  const definitions = spec.root.inputDefinitions ?? {};
  const parameters: { [name: string]: ParameterSpec } = { ...definitions.parameters };
  if (parameter) parameters[name] = parameter;
  else {
    delete parameters[name];
    for (const task of Object.values(spec.root.dag?.tasks ?? {}))
      for (const [input, from] of Object.entries(task.inputs?.parameters ?? {}))
        if (from.componentInputParameter === name) delete task.inputs?.parameters?.[input];
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
  return Object.entries(tasksOf(structuredClone(spec), scope)).flatMap(([name, task]) => {
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
