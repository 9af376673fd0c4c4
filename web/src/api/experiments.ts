import { send, sendJson, v2 } from "./client";
import type { Experiment } from "./types";

export const createExperiment = (name: string, description?: string) =>
  sendJson<Experiment>("POST", `${v2}/experiments`, { display_name: name, description });

export const experimentAction = (id: string, action: "archive" | "unarchive") =>
  sendJson("POST", `${v2}/experiments/${encodeURIComponent(id)}:${action}`);

export const deleteExperiment = (id: string) =>
  send(`${v2}/experiments/${encodeURIComponent(id)}`, { method: "DELETE" });
