import type { Json, JsonObject } from "../api/types";

// What the graph needs of a compiled pipeline (PipelineSpec), and how to find it in what the API gives.

export interface TaskSpec {
  taskInfo?: { name?: string };
  componentRef?: { name?: string };
  dependentTasks?: string[];
  inputs?: { parameters?: { [name: string]: InputSpec }; artifacts?: { [name: string]: InputSpec } };
  triggerPolicy?: { condition?: string; strategy?: string };
  parameterIterator?: { itemInput?: string; items?: { inputParameter?: string; raw?: string } };
  artifactIterator?: { itemInput?: string; items?: { inputArtifact?: string } };
  iteratorPolicy?: { parallelismLimit?: number };
  cachingOptions?: { enableCache?: boolean };
  retryPolicy?: { maxRetryCount?: number };
}

export interface InputSpec {
  taskOutputParameter?: { producerTask?: string; outputParameterKey?: string };
  taskOutputArtifact?: { producerTask?: string; outputArtifactKey?: string };
  componentInputParameter?: string;
  componentInputArtifact?: string;
  runtimeValue?: { constant?: Json };
  taskFinalStatus?: { producerTask?: string };
  /** A part of the value: `parseJson(string_value)["name"]`. */
  parameterExpressionSelector?: string;
}

export interface ParameterSpec {
  parameterType?: string;
  type?: string;
  defaultValue?: Json;
  isOptional?: boolean;
  description?: string;
  literals?: Json[];
}

export interface ArtifactSpec {
  artifactType?: { schemaTitle?: string; schemaVersion?: string };
  isArtifactList?: boolean;
  isOptional?: boolean;
  description?: string;
}

export interface ComponentSpec {
  executorLabel?: string;
  dag?: { tasks?: { [name: string]: TaskSpec }; outputs?: JsonObject };
  inputDefinitions?: { parameters?: { [name: string]: ParameterSpec }; artifacts?: { [name: string]: ArtifactSpec } };
  outputDefinitions?: { parameters?: { [name: string]: ParameterSpec }; artifacts?: { [name: string]: ArtifactSpec } };
}

export interface ExecutorSpec {
  container?: { image?: string; command?: string[]; args?: string[]; resources?: JsonObject; env?: Json[] };
  importer?: JsonObject;
}

export interface PipelineSpec {
  pipelineInfo?: { name?: string; displayName?: string; description?: string };
  root: ComponentSpec;
  components?: { [name: string]: ComponentSpec };
  deploymentSpec?: { executors?: { [label: string]: ExecutorSpec } };
}

/** The PipelineSpec in a version's or run's `pipeline_spec`, which may hold it alone, or beside a platform spec. */
export function pipelineSpecOf(json: JsonObject | undefined): PipelineSpec | undefined {
  if (json === undefined) return undefined;
  const inner = (json.pipeline_spec ?? json.pipelineSpec ?? json) as JsonObject;
  return inner.root === undefined ? undefined : (inner as unknown as PipelineSpec);
}

export function componentOf(spec: PipelineSpec, task: TaskSpec): ComponentSpec {
  return spec.components?.[task.componentRef?.name ?? ""] ?? {};
}

export function executorOf(spec: PipelineSpec, component: ComponentSpec): ExecutorSpec | undefined {
  return spec.deploymentSpec?.executors?.[component.executorLabel ?? ""];
}

/** The names of the tasks beside it that the task waits for. */
export function producersOf(task: TaskSpec): string[] {
  const names = new Set(task.dependentTasks ?? []);
  for (const input of [
    ...Object.values(task.inputs?.parameters ?? {}),
    ...Object.values(task.inputs?.artifacts ?? {}),
  ]) {
    const producer =
      input.taskOutputParameter?.producerTask ??
      input.taskOutputArtifact?.producerTask ??
      input.taskFinalStatus?.producerTask;
    if (producer !== undefined) names.add(producer);
  }
  return [...names];
}
