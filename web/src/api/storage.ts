import { queryOptions } from "@tanstack/react-query";
import { getJson, own, sendJson } from "./client";

// What artifacts and logs take, and the rules by which runs go.

export interface Used {
  namespace: string;
  pipeline?: string;
  run_id?: string;
  bytes: number;
  artifact_bytes: number;
  artifacts: number;
  log_bytes: number;
}

export interface RetentionRule {
  rule_id: string;
  name: string;
  disabled?: boolean;
  selector?: { pipeline_names?: string[]; states?: string[] };
  older_than?: string;
  keep_last?: number;
  max_bytes?: string;
  per: string;
  action: "DELETE" | "ARCHIVE";
}

export interface PlannedRun {
  run_id: string;
  display_name?: string;
  action: string;
  rule: string;
  reason: string;
  bytes: number;
}

export interface Plan {
  runs: PlannedRun[];
  kept_artifacts: { uri: string; reason: string }[];
  deleted: number;
  archived: number;
  bytes: number;
}

export type UsedBy = "namespace" | "pipeline" | "run";
const rules = `${own}/retention_rules`;

export const usedQuery = (by: UsedBy) =>
  queryOptions({
    queryKey: ["storage", "used", by],
    queryFn: ({ signal }) =>
      getJson<{ usage: Used[]; total_size: number; total_bytes: number }>(
        `${own}/usage`,
        { by, page_size: 1000 },
        signal,
      ),
  });

export const rulesQuery = queryOptions({
  queryKey: ["storage", "rules"],
  queryFn: async ({ signal }) =>
    (await getJson<{ retention_rules: RetentionRule[] }>(rules, undefined, signal)).retention_rules,
});

export type NewRule = Omit<RetentionRule, "rule_id">;

/** What the rules would do now, or these instead; nothing is changed. */
export const planRetention = (instead?: NewRule[]) => sendJson<Plan>("POST", `${rules}:dryRun`, { rules: instead });
export const createRule = (rule: NewRule) => sendJson<RetentionRule>("POST", rules, rule);
export const deleteRule = (id: string) => sendJson("DELETE", `${rules}/${encodeURIComponent(id)}`);
