import { send, sendJson, v2 } from "./client";
import type { JsonObject, Run } from "./types";

export type RunAction = "archive" | "unarchive" | "terminate" | "retry";

export const runAction = (id: string, action: RunAction) =>
  sendJson("POST", `${v2}/runs/${encodeURIComponent(id)}:${action}`);

/** Runs the task and what comes after it again, of a run that has ended. */
export const retryFrom = (run: string, task: string) =>
  sendJson("POST", `${v2}/runs/${encodeURIComponent(run)}:retry`, { task_ids: [task] });

export const deleteRun = (id: string) => send(`${v2}/runs/${encodeURIComponent(id)}`, { method: "DELETE" });

export interface NewRun {
  display_name: string;
  description?: string;
  experiment_id?: string;
  pipeline_version_reference?: { pipeline_id: string; pipeline_version_id: string };
  pipeline_spec?: JsonObject;
  runtime_config?: { parameters?: JsonObject; pipeline_root?: string };
  service_account?: string;
}

export const createRun = (run: NewRun) => sendJson<Run>("POST", `${v2}/runs`, run);
