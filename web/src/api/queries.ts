import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { filterOf, getJson, getPage, type Predicate, v2 } from "./client";
import type { Experiment, Page, Pipeline, PipelineVersion, RecurringRun, Run } from "./types";

export interface ListRequest {
  predicates?: Predicate[];
  /** `created_at desc` and the like. */
  sort?: string;
  experiment?: string;
  pageSize?: number;
}

// Keys begin with the kind that the event stream names, so that one change makes all of that kind stale.

function list<T>(kind: string, path: string, field: string, request: ListRequest) {
  return infiniteQueryOptions({
    queryKey: [kind, "list", path, request],
    queryFn: ({ pageParam, signal }): Promise<Page<T>> =>
      getPage<T>(
        path,
        field,
        {
          page_size: request.pageSize ?? 100,
          page_token: pageParam,
          sort_by: request.sort,
          filter: filterOf(request.predicates ?? []),
          experiment_id: request.experiment,
        },
        signal,
      ),
    initialPageParam: "",
    getNextPageParam: (page: Page<T>) => page.next,
    placeholderData: keepPreviousData,
  });
}

export const runsQuery = (request: ListRequest) => list<Run>("run", `${v2}/runs`, "runs", request);
export const pipelinesQuery = (request: ListRequest) =>
  list<Pipeline>("pipeline", `${v2}/pipelines`, "pipelines", request);
export const experimentsQuery = (request: ListRequest) =>
  list<Experiment>("experiment", `${v2}/experiments`, "experiments", request);
export const recurringRunsQuery = (request: ListRequest) =>
  list<RecurringRun>("recurring_run", `${v2}/recurringruns`, "recurringRuns", request);
export const versionsQuery = (pipeline: string, request: ListRequest = {}) =>
  list<PipelineVersion>(
    "pipeline",
    `${v2}/pipelines/${encodeURIComponent(pipeline)}/versions`,
    "pipeline_versions",
    request,
  );

export const runQuery = (id: string) =>
  queryOptions({
    queryKey: ["run", "detail", id],
    queryFn: ({ signal }) => getJson<Run>(`${v2}/runs/${encodeURIComponent(id)}`, { view: "FULL" }, signal),
  });

export const pipelineQuery = (id: string) =>
  queryOptions({
    queryKey: ["pipeline", "detail", id],
    queryFn: ({ signal }) => getJson<Pipeline>(`${v2}/pipelines/${encodeURIComponent(id)}`, undefined, signal),
  });

export const versionQuery = (pipeline: string, version: string) =>
  queryOptions({
    queryKey: ["pipeline", "version", pipeline, version],
    queryFn: ({ signal }) =>
      getJson<PipelineVersion>(
        `${v2}/pipelines/${encodeURIComponent(pipeline)}/versions/${encodeURIComponent(version)}`,
        undefined,
        signal,
      ),
  });

export const experimentQuery = (id: string) =>
  queryOptions({
    queryKey: ["experiment", "detail", id],
    queryFn: ({ signal }) => getJson<Experiment>(`${v2}/experiments/${encodeURIComponent(id)}`, undefined, signal),
  });
