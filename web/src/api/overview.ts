import { queryOptions } from "@tanstack/react-query";
import { getJson, own, sendJson } from "./client";
import type { Run, RuntimeState } from "./types";

export interface RunSummary {
  run_id: string;
  display_name: string;
  state: RuntimeState;
  created_at: string;
  finished_at?: string;
  /** How many of its steps are in each state. */
  tasks: { [state: string]: number };
  error?: string;
  first_failure?: { task_id: string; name: string; display_name: string; message: string };
}

export interface QueuedPod {
  pod: string;
  reason: string;
  run_id?: string;
  task?: string;
  since?: string;
}

export interface ResourceUse {
  capacity: number;
  requested: number;
  used_by_server?: number;
  used_by_tasks?: number;
}

export interface Overview {
  active: RunSummary[];
  failed: RunSummary[];
  queued: QueuedPod[];
  queued_count: number;
  resources: { cpu: ResourceUse; memory: ResourceUse; gpus: ResourceUse; disk: { capacity: number; free: number } };
}

export interface Features {
  version: string;
  sections: { [name: string]: boolean };
}

export interface Example {
  name: string;
  description: string;
  source?: string;
}

export const overviewQuery = queryOptions({
  queryKey: ["overview"],
  queryFn: ({ signal }) => getJson<Overview>(`${own}/overview`, undefined, signal),
});

export const featuresQuery = queryOptions({
  queryKey: ["features"],
  queryFn: ({ signal }) => getJson<Features>(`${own}/features`, undefined, signal),
});

export const examplesQuery = queryOptions({
  queryKey: ["examples"],
  queryFn: async ({ signal }) =>
    (await getJson<{ examples: Example[] }>(`${own}/examples`, undefined, signal)).examples,
});

export const runExample = (name: string) => sendJson<Run>("POST", `${own}/examples/${encodeURIComponent(name)}:run`);
