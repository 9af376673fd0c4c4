import type { components } from "./schema";

// The messages of the server's API that the dashboard reads and writes. Their types are those of the server's own OpenAPI
// document (schema.d.ts, made by `npm run types`), with what is always there said to be.

type Schemas = components["schemas"];

/** The message with these fields always there, and those as the dashboard knows them better than the document. */
type With<Message, Always extends keyof Message, Better = object> = Omit<Message, Always | keyof Better> &
  Required<Pick<Message, Exclude<Always, keyof Better>>> &
  Better;

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export type RuntimeState = NonNullable<Schemas["Run"]["state"]>;
export type TaskState = NonNullable<Schemas["PipelineTask"]["state"]> | RuntimeState;
export type TaskType = NonNullable<Schemas["PipelineTask"]["type"]>;
export type ApiStatus = Schemas["Status"];
export type StateChange = With<Schemas["RuntimeStatus"], "update_time" | "state", { state: TaskState }>;

type RuntimeConfig = With<Schemas["RuntimeConfig"], never, { parameters?: JsonObject }>;

export type Run = With<
  Schemas["Run"],
  "run_id" | "display_name" | "created_at",
  {
    pipeline_spec?: JsonObject;
    /** As earlier servers named it. */
    pipeline_reference?: Schemas["PipelineVersionReference"];
    runtime_config?: RuntimeConfig;
    state_history?: StateChange[];
    tasks?: Task[];
  }
>;

export type IoParameter = With<Schemas["IOParameter"], "parameter_key", { value?: Json }>;
export type IoArtifact = With<Schemas["IOArtifact"], "artifact_key", { artifacts?: Artifact[] }>;
interface InputsOutputs {
  parameters?: IoParameter[];
  artifacts?: IoArtifact[];
}

export type Task = With<
  Schemas["PipelineTask"],
  "task_id" | "run_id" | "name" | "create_time",
  {
    state?: TaskState;
    pods?: With<Schemas["TaskPod"], "name">[];
    status_metadata?: { message?: string; custom_properties?: { [key: string]: Json } };
    state_history?: StateChange[];
    inputs?: InputsOutputs;
    outputs?: InputsOutputs;
  }
>;

export type Artifact = With<Schemas["Artifact"], "artifact_id", { metadata?: JsonObject }>;
export type Pipeline = With<Schemas["Pipeline"], "pipeline_id" | "display_name" | "created_at">;
export type PipelineVersion = With<
  Schemas["PipelineVersion"],
  "pipeline_id" | "pipeline_version_id" | "display_name" | "created_at",
  { pipeline_spec?: JsonObject }
>;
export type Experiment = With<Schemas["Experiment"], "experiment_id" | "display_name" | "created_at">;
export type RecurringRun = With<
  Schemas["RecurringRun"],
  "recurring_run_id" | "display_name" | "created_at",
  { pipeline_spec?: JsonObject; runtime_config?: RuntimeConfig }
>;

/** A page of a list: the field named after the resource, how many there are in all, and the token of the next page. */
export interface Page<T> {
  items: T[];
  total: number;
  next?: string;
}
