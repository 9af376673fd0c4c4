import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { filterOf, getJson, getPage, own, sendJson, v2 } from "./client";
import type { Artifact, Json } from "./types";

// Kubeflow Model Registry's REST API, and Penstock's additions to it.

export type Property = { metadataType: string } & { [member: string]: Json };
export type Properties = { [name: string]: Property };

interface Resource {
  id: string;
  name: string;
  description?: string;
  customProperties?: Properties;
  /** Milliseconds, as digits. */
  createTimeSinceEpoch: string;
  lastUpdateTimeSinceEpoch: string;
}

export interface RegisteredModel extends Resource {
  state: "LIVE" | "ARCHIVED";
  owner?: string;
}

export interface ModelVersion extends Resource {
  state: "LIVE" | "ARCHIVED";
  author?: string;
  registeredModelId: string;
}

export interface ModelArtifact extends Resource {
  artifactType: string;
  uri?: string;
  state?: string;
  modelFormatName?: string;
  modelFormatVersion?: string;
  modelSourceKind?: string;
  modelSourceId?: string;
  modelSourceName?: string;
}

export interface Alias {
  alias: string;
  model_version_id: string;
}

export interface Deployment {
  source: "registry" | "kserve";
  model_version_id: string;
  /** Of the registry's. */
  inference_service?: { id: string; name: string };
  desired_state?: string;
  /** Of KServe's. */
  namespace?: string;
  name?: string;
  url?: string;
  ready?: boolean;
}

interface ModelPage<T> {
  items: T[];
  nextPageToken: string;
  size: number;
}

const registry = "/api/model_registry/v1alpha3";
const models = `${registry}/registered_models`;
const versions = `${registry}/model_versions`;
const ownModel = (model: string) => `${own}/models/${encodeURIComponent(model)}`;

const quoted = (text: string) => `'${text.replace(/[\\']/g, "\\$&")}'`;

/** Live or archived models whose name holds the text, whatever the case of its letters. */
export const modelsQuery = (request: { state: string; name: string; sort: string }) =>
  infiniteQueryOptions({
    queryKey: ["model", "list", request],
    queryFn: ({ pageParam, signal }) => {
      const [orderBy, sortOrder] = request.sort.split(" ");
      const named = request.name ? ` AND name ILIKE ${quoted(`%${request.name}%`)}` : "";
      return getJson<ModelPage<RegisteredModel>>(
        models,
        {
          pageSize: 100,
          nextPageToken: pageParam,
          orderBy,
          sortOrder: sortOrder?.toUpperCase(),
          filterQuery: `state = ${quoted(request.state)}${named}`,
        },
        signal,
      );
    },
    initialPageParam: "",
    getNextPageParam: (page) => page.nextPageToken || undefined,
    placeholderData: keepPreviousData,
  });

export const modelQuery = (model: string) =>
  queryOptions({
    queryKey: ["model", "detail", model],
    queryFn: ({ signal }) => getJson<RegisteredModel>(`${models}/${encodeURIComponent(model)}`, undefined, signal),
  });

export const modelVersionsQuery = (model: string) =>
  infiniteQueryOptions({
    queryKey: ["model", "versions", model],
    queryFn: ({ pageParam, signal }) =>
      getJson<ModelPage<ModelVersion>>(
        `${models}/${encodeURIComponent(model)}/versions`,
        { pageSize: 100, nextPageToken: pageParam, orderBy: "CREATE_TIME", sortOrder: "DESC" },
        signal,
      ),
    initialPageParam: "",
    getNextPageParam: (page) => page.nextPageToken || undefined,
  });

export const modelVersionQuery = (version: string) =>
  queryOptions({
    queryKey: ["model", "version", version],
    queryFn: ({ signal }) => getJson<ModelVersion>(`${versions}/${encodeURIComponent(version)}`, undefined, signal),
  });

export const modelArtifactsQuery = (version: string) =>
  queryOptions({
    queryKey: ["model", "artifacts", version],
    queryFn: async ({ signal }) =>
      (
        await getJson<ModelPage<ModelArtifact>>(
          `${versions}/${encodeURIComponent(version)}/artifacts`,
          { pageSize: 100 },
          signal,
        )
      ).items,
  });

export const aliasesQuery = (model: string) =>
  queryOptions({
    queryKey: ["model", "aliases", model],
    queryFn: async ({ signal }) =>
      (await getJson<{ aliases: Alias[] }>(`${ownModel(model)}/aliases`, undefined, signal)).aliases,
  });

export const deploymentsQuery = (model: string) =>
  queryOptions({
    queryKey: ["model", "deployments", model],
    queryFn: async ({ signal }) =>
      (await getJson<{ deployments: Deployment[] }>(`${ownModel(model)}/deployments`, undefined, signal)).deployments,
  });

/** The artifact with that URI which a run made, by which its lineage is found. */
export const artifactAtQuery = (uri: string) =>
  queryOptions({
    queryKey: ["artifact", "at", uri],
    queryFn: async ({ signal }) =>
      (
        await getPage<Artifact>(
          `${v2}/artifacts`,
          "artifacts",
          { page_size: 1, filter: filterOf([{ key: "uri", operation: "EQUALS", value: uri }]) },
          signal,
        )
      ).items[0] ?? null,
  });

export const changeModel = (model: string, change: Partial<RegisteredModel>) =>
  sendJson<RegisteredModel>("PATCH", `${models}/${encodeURIComponent(model)}`, change);
export const changeVersion = (version: string, change: Partial<ModelVersion>) =>
  sendJson<ModelVersion>("PATCH", `${versions}/${encodeURIComponent(version)}`, change);
export const setAlias = (model: string, alias: string, version: string) =>
  sendJson("PUT", `${ownModel(model)}/aliases/${encodeURIComponent(alias)}`, { model_version_id: version });
export const removeAlias = (model: string, alias: string) =>
  sendJson("DELETE", `${ownModel(model)}/aliases/${encodeURIComponent(alias)}`);

export interface RegisterRequest {
  run_id: string;
  artifact_id: string;
  model: string;
  version?: string;
  description?: string;
  model_format_name?: string;
  model_format_version?: string;
  aliases?: string[];
}

export const registerModel = (request: RegisterRequest) =>
  sendJson<{ registered_model: RegisteredModel; model_version: ModelVersion }>(
    "POST",
    `${own}/models:register`,
    request,
  );

/** Where an artifact was made; its run is none when it was imported by hand. */
export const originQuery = (artifact: string) =>
  queryOptions({
    queryKey: ["artifact", "own", artifact],
    queryFn: ({ signal }) =>
      getJson<{ run_id?: string }>(`${own}/artifacts/${encodeURIComponent(artifact)}`, undefined, signal),
  });
