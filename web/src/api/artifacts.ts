import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { filterOf, getJson, getPage, own, type Predicate, v2 } from "./client";
import type { Artifact, Json, Page, Run, Task } from "./types";

// Penstock's own endpoints of artifacts: what they hold, where they come from, and their metrics in one shape.

export interface Preview {
  kind: string;
  /** Of the whole, as text: it may be more than a number holds. */
  size?: string;
  media_type?: string;
  truncated?: boolean;
  problem?: string;
  download?: string;
  raw?: string;
  text?: string;
  rows?: string[][];
  header?: boolean;
  records?: Json[];
  language?: string;
  cells?: NotebookCell[];
  schema?: { name?: string; type?: string; depth?: number; repetition?: string; logical_type?: string }[];
  rows_total?: string;
  row_groups?: number;
  created_by?: string;
  dtype?: string;
  shape?: number[];
  format?: string;
  entries?: PreviewEntry[];
  next_page_token?: string;
}

/** Of a folder with `folder`, of an archive with a `kind`. */
export interface PreviewEntry {
  name: string;
  folder?: boolean;
  kind?: string;
  size?: string;
}

export interface NotebookCell {
  type: string;
  source: string;
  execution_count?: number;
  outputs?: NotebookOutput[];
}

export interface NotebookOutput {
  type: string;
  /** `stdout` or `stderr` of what was printed. */
  name?: string;
  text?: string;
  /** What was shown, by media type; images in base64. */
  data?: { [mediaType: string]: string };
  /** Media types that are not passed on. */
  omitted?: string[];
}

export interface LineageNode {
  id: string;
  kind: string;
  level?: number;
  deleted?: boolean;
  artifact?: Artifact;
  task?: Task;
  run?: Run;
  [other: string]: unknown;
}

export interface Lineage {
  nodes: LineageNode[];
  edges: { from: string; to: string; kind: string; key?: string }[];
  start: string[];
  truncated?: boolean;
}

interface Named {
  artifact_id?: string;
  artifact_name?: string;
  task_name?: string;
  slice?: string;
}

export interface ConfusionMatrixData extends Named {
  labels: string[];
  rows: number[][];
}

export interface RocCurveData extends Named {
  points: { false_positive_rate: number; true_positive_rate: number; threshold?: number }[];
  auc?: number;
}

export interface Metrics {
  scalars?: (Named & { name: string; value: number; format?: string })[];
  values?: (Named & { name: string; value: Json })[];
  confusion_matrices?: ConfusionMatrixData[];
  roc_curves?: RocCurveData[];
  tables?: (Named & { header?: string[]; rows: string[][] })[];
  markdown?: (Named & { text: string })[];
  web_pages?: (Named & { html?: string; source?: string })[];
  problems?: Json[];
}

/** A metric of a task: in each run its values, several of a task in a loop. */
export interface ScalarRow {
  name: string;
  task_name?: string;
  artifact_name?: string;
  values: { [run: string]: { value: number; artifact_id?: string; format?: string }[] };
}

export interface Comparison {
  runs: (Run & { parameters?: { [name: string]: Json }; metrics?: Metrics })[];
  parameters?: { name: string; values: { [run: string]: Json }; differs?: boolean }[];
  scalars?: ScalarRow[];
}

const path = (id: string) => `${own}/artifacts/${encodeURIComponent(id)}`;

export const artifactsQuery = (request: { predicates: Predicate[]; sort: string }) =>
  infiniteQueryOptions({
    queryKey: ["artifact", "list", request],
    queryFn: ({ pageParam, signal }): Promise<Page<Artifact>> =>
      getPage<Artifact>(
        `${v2}/artifacts`,
        "artifacts",
        { page_size: 100, page_token: pageParam, sort_by: request.sort, filter: filterOf(request.predicates) },
        signal,
      ),
    initialPageParam: "",
    getNextPageParam: (page: Page<Artifact>) => page.next,
    placeholderData: keepPreviousData,
  });

export const artifactQuery = (id: string) =>
  queryOptions({
    queryKey: ["artifact", "detail", id],
    queryFn: ({ signal }) => getJson<Artifact>(`${v2}/artifacts/${encodeURIComponent(id)}`, undefined, signal),
  });

export const previewQuery = (id: string, inside: string) =>
  queryOptions({
    queryKey: ["artifact", "preview", id, inside],
    queryFn: ({ signal }) => getJson<Preview>(`${path(id)}/preview`, { path: inside || undefined }, signal),
    retry: false,
  });

export const artifactMetricsQuery = (id: string) =>
  queryOptions({
    queryKey: ["artifact", "metrics", id],
    queryFn: ({ signal }) => getJson<Metrics>(`${path(id)}/metrics`, undefined, signal),
    retry: false,
  });

export const versionsOfArtifactQuery = (id: string) =>
  queryOptions({
    queryKey: ["artifact", "versions", id],
    queryFn: ({ signal }) => getPage<Artifact>(`${path(id)}/versions`, "artifacts", { page_size: 100 }, signal),
  });

export const lineageQuery = (start: { artifact?: string; run?: string }, direction: string, depth: number) =>
  queryOptions({
    queryKey: ["artifact", "lineage", start, direction, depth],
    queryFn: ({ signal }) => getJson<Lineage>(`${own}/lineage`, { ...start, direction, depth }, signal),
  });

export const comparisonQuery = (runs: string[]) =>
  queryOptions({
    queryKey: ["run", "compare", runs],
    queryFn: ({ signal }) => getJson<Comparison>(`${own}/compare`, { runs: runs.join(",") }, signal),
    enabled: runs.length > 0,
  });

export const downloadPath = (id: string, inside = "") =>
  `${path(id)}/download${inside ? `?path=${encodeURIComponent(inside)}` : ""}`;
