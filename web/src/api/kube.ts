import { queryOptions } from "@tanstack/react-query";
import { getJson, send, sendJson } from "./client";
import type { Json, JsonObject } from "./types";

// The Kubernetes API of the server: kinds by discovery, lists as the tables that `kubectl get` prints.

export interface ApiResource {
  name: string;
  kind: string;
  namespaced: boolean;
  verbs: string[];
  /** `v1`, `serving.kserve.io/v1beta1`. */
  groupVersion: string;
}

export interface TableRow {
  cells: Json[];
  name: string;
  namespace?: string;
}

export interface Table {
  columns: { name: string; priority: number }[];
  rows: TableRow[];
  resourceVersion: string;
}

const root = (groupVersion: string) => (groupVersion.includes("/") ? `/apis/${groupVersion}` : `/api/${groupVersion}`);

export function resourcePath(resource: ApiResource, namespace?: string, name?: string): string {
  const where = resource.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  const which = name === undefined ? "" : `/${encodeURIComponent(name)}`;
  return `${root(resource.groupVersion)}${where}/${resource.name}${which}`;
}

export const kindsQuery = queryOptions({
  queryKey: ["kinds"],
  queryFn: async ({ signal }): Promise<ApiResource[]> => {
    const groups = await getJson<{ groups?: { preferredVersion?: { groupVersion: string } }[] }>(
      "/apis",
      undefined,
      signal,
    );
    const versions = ["v1", ...(groups.groups ?? []).flatMap((group) => group.preferredVersion?.groupVersion ?? [])];
    const lists = await Promise.all(
      versions.map(async (groupVersion) => {
        const list = await getJson<{ resources: ApiResource[] }>(root(groupVersion), undefined, signal);
        return list.resources
          .filter(({ name, verbs }) => !name.includes("/") && verbs.includes("list"))
          .map((resource) => ({ ...resource, groupVersion }));
      }),
    );
    return lists.flat();
  },
});

export const tableQuery = (resource: ApiResource, namespace: string) =>
  queryOptions({
    queryKey: ["resource", "table", resource.groupVersion, resource.name, namespace],
    queryFn: async ({ signal }): Promise<Table> => {
      const response = await send(resourcePath(resource, namespace || undefined), {
        headers: { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" },
        signal,
      });
      const body = (await response.json()) as {
        metadata: { resourceVersion: string };
        columnDefinitions: { name: string; priority: number }[];
        rows?: { cells: Json[]; object?: { metadata: { name: string; namespace?: string } } }[];
      };
      return {
        columns: body.columnDefinitions,
        resourceVersion: body.metadata.resourceVersion,
        rows: (body.rows ?? []).map(({ cells, object }) => ({
          cells,
          name: object?.metadata.name ?? String(cells[0]),
          namespace: object?.metadata.namespace,
        })),
      };
    },
  });

export const namespacesQuery = queryOptions({
  queryKey: ["namespaces"],
  queryFn: async ({ signal }) => {
    const list = await getJson<{ items: { metadata: { name: string } }[] }>("/api/v1/namespaces", undefined, signal);
    return list.items.map(({ metadata }) => metadata.name);
  },
});

/** One object. Of a Secret its metadata alone: its values don't leave the server for a page. */
export const objectQuery = (resource: ApiResource, namespace: string, name: string) =>
  queryOptions({
    queryKey: ["resource", "object", resource.groupVersion, resource.name, namespace, name],
    queryFn: async ({ signal }): Promise<JsonObject> => {
      const accept =
        resource.kind === "Secret"
          ? "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
          : "application/json";
      const response = await send(resourcePath(resource, namespace, name), { headers: { accept }, signal });
      return (await response.json()) as JsonObject;
    },
  });

export const replaceObject = (resource: ApiResource, namespace: string, name: string, object: JsonObject) =>
  sendJson<JsonObject>("PUT", resourcePath(resource, namespace, name), object);

export const createObject = (resource: ApiResource, namespace: string, object: JsonObject) =>
  sendJson<JsonObject>("POST", resourcePath(resource, namespace), object);

export const deleteObject = (resource: ApiResource, namespace: string, name: string) =>
  send(resourcePath(resource, namespace, name), { method: "DELETE" });

/** Calls `onChange` for each change after `version` until it is aborted; returns when the server ends the watch. */
export async function watch(
  resource: ApiResource,
  namespace: string,
  version: string,
  signal: AbortSignal,
  onChange: () => void,
): Promise<void> {
  const path = resourcePath(resource, namespace || undefined);
  const response = await send(`${path}?watch=1&resourceVersion=${encodeURIComponent(version)}`, {
    headers: { accept: "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io" },
    signal,
  });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (let chunk = await reader?.read(); chunk && !chunk.done; chunk = await reader?.read())
    if (/"type":\s*"(ADDED|MODIFIED|DELETED)"/.test(chunk.value)) onChange();
}
