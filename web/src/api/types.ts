// The messages of the server's API that the dashboard reads and writes, as JSON has them: snake_case, absent when empty.

export type RuntimeState =
  | "RUNTIME_STATE_UNSPECIFIED"
  | "PENDING"
  | "RUNNING"
  | "SUCCEEDED"
  | "SKIPPED"
  | "FAILED"
  | "CANCELING"
  | "CANCELED"
  | "PAUSED";

export type TaskState = RuntimeState | "CACHED";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export interface ApiStatus {
  code?: number;
  message?: string;
}

export interface StateChange {
  update_time: string;
  state: TaskState;
  error?: ApiStatus;
}

export interface Run {
  run_id: string;
  display_name: string;
  experiment_id?: string;
  storage_state?: "AVAILABLE" | "ARCHIVED";
  description?: string;
  pipeline_spec?: JsonObject;
  pipeline_version_reference?: { pipeline_id?: string; pipeline_version_id?: string };
  pipeline_reference?: { pipeline_id?: string; pipeline_version_id?: string };
  runtime_config?: { parameters?: JsonObject; pipeline_root?: string };
  service_account?: string;
  created_at: string;
  scheduled_at?: string;
  finished_at?: string;
  state?: RuntimeState;
  error?: ApiStatus;
  recurring_run_id?: string;
  state_history?: StateChange[];
  task_count?: number;
  tasks?: Task[];
}

export type TaskType =
  | "ROOT"
  | "RUNTIME"
  | "CONDITION_BRANCH"
  | "CONDITION"
  | "LOOP"
  | "EXIT_HANDLER"
  | "IMPORTER"
  | "DAG";

export interface IoParameter {
  parameter_key: string;
  value?: Json;
  type?: string;
  producer?: { task_name?: string; iteration?: number | string };
}

export interface IoArtifact {
  artifact_key: string;
  artifacts?: Artifact[];
  type?: string;
  producer?: { task_name?: string; iteration?: number | string };
}

export interface Task {
  task_id: string;
  run_id: string;
  name: string;
  display_name?: string;
  pods?: { name: string; uid?: string; type?: string }[];
  cache_fingerprint?: string;
  create_time: string;
  start_time?: string;
  end_time?: string;
  state?: TaskState;
  status_metadata?: { message?: string; custom_properties?: { [key: string]: Json } };
  state_history?: StateChange[];
  type?: TaskType;
  type_attributes?: { iteration_index?: number | string; iteration_count?: number | string };
  parent_task_id?: string;
  child_tasks?: { task_id?: string; pod_name?: string }[];
  inputs?: { parameters?: IoParameter[]; artifacts?: IoArtifact[] };
  outputs?: { parameters?: IoParameter[]; artifacts?: IoArtifact[] };
  scope_path?: string;
}

export interface Artifact {
  artifact_id: string;
  name?: string;
  description?: string;
  type?: string;
  uri?: string;
  metadata?: JsonObject;
  number_value?: number;
  created_at?: string;
  namespace?: string;
}

export interface Pipeline {
  pipeline_id: string;
  display_name: string;
  name?: string;
  description?: string;
  created_at: string;
  namespace?: string;
  tags?: { [key: string]: string };
}

export interface PipelineVersion {
  pipeline_id: string;
  pipeline_version_id: string;
  display_name: string;
  name?: string;
  description?: string;
  created_at: string;
  code_source_url?: string;
  pipeline_spec?: JsonObject;
  tags?: { [key: string]: string };
}

export interface Experiment {
  experiment_id: string;
  display_name: string;
  description?: string;
  created_at: string;
  namespace?: string;
  storage_state?: "AVAILABLE" | "ARCHIVED";
  last_run_created_at?: string;
}

export interface RecurringRun {
  recurring_run_id: string;
  display_name: string;
  description?: string;
  pipeline_version_reference?: { pipeline_id?: string; pipeline_version_id?: string };
  pipeline_spec?: JsonObject;
  runtime_config?: { parameters?: JsonObject; pipeline_root?: string };
  max_concurrency?: string;
  trigger?: {
    cron_schedule?: { cron?: string; start_time?: string; end_time?: string };
    periodic_schedule?: { interval_second?: string; start_time?: string; end_time?: string };
  };
  mode?: "ENABLE" | "DISABLE";
  status?: "ENABLED" | "DISABLED";
  created_at: string;
  updated_at?: string;
  error?: ApiStatus;
  no_catchup?: boolean;
  experiment_id?: string;
}

/** A page of a list: the field named after the resource, how many there are in all, and the token of the next page. */
export interface Page<T> {
  items: T[];
  total: number;
  next?: string;
}
