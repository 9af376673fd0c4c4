import type { Json } from "../../api/types";
import type { ArtifactSpec, ComponentSpec, InputSpec, PipelineSpec, TaskSpec } from "../../graph/spec";
import {
  EditError,
  isChannel,
  type Port,
  parameterType,
  producerOf,
  type Scope,
  type Source,
  scopeComponent,
  tasksIn,
  tasksOf,
} from "./ports";

// Leads values into groups, and takes away what is led in and used no longer: conditions and loops see only what comes in by
// their own inputs, whose names the compiler begins with `pipelinechannel--`.

/** The name, or it with the first number from 2 that nobody has. */
export function free(taken: (name: string) => boolean, name: string): string {
  if (!taken(name)) return name;
  for (let number = 2; ; number++) if (!taken(`${name}-${number}`)) return `${name}-${number}`;
}

/**
 * What an input of a task in `scope` says to get the source's value, after the value has been led in through every group
 * between where it is made and the task.
 */
export function lead(spec: PipelineSpec, scope: Scope, source: Source, port: Port): InputSpec {
  if (source.from === "constant") return { runtimeValue: { constant: source.value } };
  if (source.from === "other") throw new EditError("this value can't be set here");
  const made: Scope =
    source.from === "task" ? source.scope : source.from === "input" ? [] : loopScope(scope, source.loop);
  if (made.some((name, at) => scope[at] !== name)) throw new EditError("what is made inside of a group stays there");
  const artifact = port.kind === "artifact";
  if (scope.length > made.length) {
    const channel = leadIn(spec, scope, source, port);
    return artifact ? { componentInputArtifact: channel } : { componentInputParameter: channel };
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

/** Leads the source's value into the group that `scope` ends in; the name of the group's input that it comes in by. */
export function leadIn(spec: PipelineSpec, scope: Scope, source: Source, port: Port): string {
  const around = scope.slice(0, -1);
  const outer = lead(spec, around, source, port);
  const task = tasksOf(spec, around)[scope.at(-1) as string] as TaskSpec;
  const component = scopeComponent(spec, scope);
  const field = port.kind === "artifact" ? "artifacts" : "parameters";
  task.inputs ??= {};
  const inputs: { [input: string]: InputSpec } = { ...task.inputs[field] };
  const stem =
    source.from === "input"
      ? `pipelinechannel--${source.name}`
      : source.from === "task"
        ? `pipelinechannel--${source.task}-${source.output}`
        : `pipelinechannel--${source.from === "item" ? source.loop : "value"}-item`;
  const other = (one: string) => {
    const there = task.inputs?.parameters?.[one] ?? task.inputs?.artifacts?.[one];
    const isItem = task.parameterIterator?.itemInput === one || task.artifactIterator?.itemInput === one;
    return isItem || (there !== undefined && JSON.stringify(there) !== JSON.stringify(outer));
  };
  const channel = free(other, stem);
  inputs[channel] = outer;
  task.inputs[field] = inputs;
  const definitions: NonNullable<ComponentSpec["inputDefinitions"]> = component.inputDefinitions ?? {};
  component.inputDefinitions = definitions;
  if (port.kind === "artifact")
    definitions.artifacts = {
      ...definitions.artifacts,
      [channel]: definitions.artifacts?.[channel] ?? artifactOf(spec, source, port),
    };
  else
    definitions.parameters = {
      ...definitions.parameters,
      [channel]: definitions.parameters?.[channel] ?? { parameterType: parameterOf(spec, source) ?? port.type },
    };
  const producer = producerOf(outer)?.task;
  if (producer) wait(task, producer);
  return channel;
}

/** The type of what the source makes: an integer stays one on its way to where a number is wanted. */
function parameterOf(spec: PipelineSpec, source: Source): string | undefined {
  if (source.from === "input") {
    const found = spec.root.inputDefinitions?.parameters?.[source.name];
    return found && parameterType(found);
  }
  if (source.from !== "task") return undefined;
  const producer = tasksIn(spec, source.scope)[source.task];
  const found = spec.components?.[producer?.componentRef?.name ?? ""]?.outputDefinitions?.parameters?.[source.output];
  return found && parameterType(found);
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

export function wait(task: TaskSpec, producer: string): void {
  if (!task.dependentTasks?.includes(producer)) task.dependentTasks = [...(task.dependentTasks ?? []), producer];
}

/** The task waits for the producer no longer, unless another of its inputs comes from there. */
export function forget(task: TaskSpec, producer: string | undefined): void {
  if (producer === undefined) return;
  const inputs = [...Object.values(task.inputs?.parameters ?? {}), ...Object.values(task.inputs?.artifacts ?? {})];
  if (inputs.some((input) => producerOf(input)?.task === producer)) return;
  task.dependentTasks = task.dependentTasks?.filter((one) => one !== producer);
}

/** Takes away every input of the scope's tasks that says so, with what was led from it into groups. */
export function dropConsumers(spec: PipelineSpec, scope: Scope, drops: (input: InputSpec) => boolean): void {
  for (const [name, task] of Object.entries(tasksOf(spec, scope)))
    for (const inputs of [task.inputs?.parameters, task.inputs?.artifacts])
      for (const [input, from] of Object.entries(inputs ?? {}))
        if (drops(from)) {
          delete (inputs as { [input: string]: InputSpec })[input];
          if (isChannel(input)) dropChannel(spec, scope, name, input);
        }
}

/** A group's channel is there no longer: what its tasks, its condition and its loop made of it goes, too. */
function dropChannel(spec: PipelineSpec, scope: Scope, group: string, channel: string): void {
  const task = tasksOf(spec, scope)[group] as TaskSpec;
  const component = scopeComponent(spec, [...scope, group]);
  delete component.inputDefinitions?.parameters?.[channel];
  delete component.inputDefinitions?.artifacts?.[channel];
  if (task.parameterIterator?.items?.inputParameter === channel) task.parameterIterator.items = { raw: "[]" };
  if (reads(task, channel)) task.triggerPolicy = { ...task.triggerPolicy, condition: "true" };
  if (component.dag)
    dropConsumers(
      spec,
      [...scope, group],
      (input) => input.componentInputParameter === channel || input.componentInputArtifact === channel,
    );
}

/** Takes away the outputs of the scope's component that say so, with what is made of them outside. */
export function dropOutputs(spec: PipelineSpec, scope: Scope, drops: (output: Json) => boolean): void {
  const component = scopeComponent(spec, scope);
  const outputs = component.dag?.outputs as OutputMap | undefined;
  for (const map of [outputs?.parameters, outputs?.artifacts])
    for (const output of Object.keys(map ?? {})) {
      if (!drops(map?.[output] ?? null)) continue;
      delete map?.[output];
      delete component.outputDefinitions?.parameters?.[output];
      delete component.outputDefinitions?.artifacts?.[output];
      const group = scope.at(-1);
      if (group === undefined) continue;
      const around = scope.slice(0, -1);
      dropConsumers(spec, around, (input) => {
        const producer = producerOf(input);
        return producer?.task === group && producer.output === output;
      });
      dropOutputs(spec, around, (json) => refersTo(json, group, output));
    }
}

/** Whether an output of a DAG comes from the task (and from this output of it): selectors name it at some depth. */
export function refersTo(json: Json, task: string, output?: string): boolean {
  if (Array.isArray(json)) return json.some((one) => refersTo(one, task, output));
  if (typeof json !== "object" || json === null) return false;
  const key = json.outputParameterKey ?? json.outputArtifactKey;
  if (json.producerSubtask === task && (output === undefined || key === output)) return true;
  return Object.values(json).some((one) => refersTo(one, task, output));
}

const reads = (task: TaskSpec, channel: string): boolean =>
  task.triggerPolicy?.condition?.includes(`['${channel}']`) ?? false;

/** Takes away what is led into the groups of the scope, from the innermost out, and is used there no longer. */
export function tidy(spec: PipelineSpec, scope: Scope): void {
  for (let depth = scope.length; depth > 0; depth--) {
    const around = scope.slice(0, depth - 1);
    const task = tasksOf(spec, around)[scope[depth - 1] as string] as TaskSpec;
    tidyGroup(task, scopeComponent(spec, scope.slice(0, depth)));
  }
}

function tidyGroup(task: TaskSpec, component: ComponentSpec): void {
  if (!component.dag) return;
  const used = new Set(
    Object.values(component.dag.tasks ?? {}).flatMap(({ inputs }) =>
      Object.values({ ...inputs?.parameters, ...inputs?.artifacts }).map(
        (input) => input.componentInputParameter ?? input.componentInputArtifact,
      ),
    ),
  );
  const outputs = JSON.stringify(component.dag.outputs ?? {});
  for (const field of ["parameters", "artifacts"] as const)
    for (const [channel, from] of Object.entries(task.inputs?.[field] ?? {})) {
      const items = task.parameterIterator?.items?.inputParameter ?? task.artifactIterator?.items?.inputArtifact;
      if (!isChannel(channel) || used.has(channel) || items === channel || reads(task, channel)) continue;
      if (outputs.includes(JSON.stringify(channel))) continue;
      delete task.inputs?.[field]?.[channel];
      delete component.inputDefinitions?.[field]?.[channel];
      forget(task, producerOf(from)?.task);
    }
}

type OutputMap = { parameters?: { [name: string]: Json }; artifacts?: { [name: string]: Json } };

/** Drops components and executors that no task is made of any more. */
export function sweep(spec: PipelineSpec): PipelineSpec {
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
