import type { Json } from "../../api/types";
import type { ArtifactSpec, ComponentSpec, InputSpec, ParameterSpec, PipelineSpec, TaskSpec } from "../../graph/spec";

// A pipeline's scopes, the ports of what is in them, and where the values that go in come from. A scope is the path of the
// groups from the root: [] is the root's DAG, ["for-loop-1"] that of the root's task of this name.

export type Scope = readonly string[];

export class EditError extends Error {}

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

/** The tasks of a scope to be looked at: nothing is added to the specification. */
export const tasksIn = (spec: PipelineSpec, scope: Scope): { readonly [name: string]: TaskSpec } =>
  scopeComponent(spec, scope).dag?.tasks ?? {};

// --- Ports ---

export interface Port {
  name: string;
  kind: "parameter" | "artifact";
  /** `NUMBER_INTEGER`; of an artifact `system.Model`. */
  type: string;
  list?: boolean;
  optional?: boolean;
}

export const parameterType = (spec: ParameterSpec): string => {
  const older: { [type: string]: string } = { INT: "NUMBER_INTEGER", DOUBLE: "NUMBER_DOUBLE" };
  const type = spec.parameterType ?? spec.type ?? "STRING";
  return older[type] ?? type;
};

export function ports(definitions: ComponentSpec["inputDefinitions"]): Port[] {
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

export const isChannel = (name: string) => name.startsWith("pipelinechannel--");

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
  const group = tasksIn(spec, around)[scope.at(-1) as string];
  if (group?.parameterIterator?.itemInput === outer || group?.artifactIterator?.itemInput === outer)
    return { from: "item", loop: scope.at(-1) as string };
  return sourceOf(spec, around, group?.inputs?.parameters?.[outer] ?? group?.inputs?.artifacts?.[outer]);
}
