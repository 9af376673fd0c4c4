import { infiniteQueryOptions, type QueryClient, queryOptions } from "@tanstack/react-query";
import type { Preview } from "./artifacts";
import { ApiError, getJson, own, sendJson, UnreachableError, withQuery } from "./client";
import type { components } from "./schema";

// Buckets and objects of the server's own store. Keys are in queries: in a path, a browser would resolve "..".

type Schemas = components["schemas"];

export type Bucket = Schemas["Bucket"];
export type ListedObject = Schemas["ListedObject"];
export type StoredObject = Schemas["StoredObject"];
export type ObjectPage = Schemas["ListObjectsResponse"];
export type Deleted = Schemas["DeleteObjectsResponse"];

/** One object, or one version of it. */
export interface ObjectName {
  bucket: string;
  key: string;
  version?: string;
}

const path = (bucket: string) => `${own}/buckets/${encodeURIComponent(bucket)}`;
const named = ({ key, version }: ObjectName) => ({ key, version_id: version });

export const bucketsQuery = queryOptions({
  queryKey: ["bucket", "list"],
  queryFn: async ({ signal }) =>
    (await getJson<Schemas["ListBucketsResponse"]>(`${own}/buckets`, undefined, signal)).buckets,
});

export const bucketQuery = (bucket: string) =>
  queryOptions({
    queryKey: ["bucket", "detail", bucket],
    queryFn: ({ signal }) => getJson<Bucket>(path(bucket), undefined, signal),
  });

export const usageQuery = (bucket: string, prefix: string) =>
  queryOptions({
    queryKey: ["bucket", "usage", bucket, prefix],
    queryFn: ({ signal }) => getJson<Schemas["BucketUsage"]>(`${path(bucket)}/usage`, { prefix }, signal),
  });

export const objectsQuery = (bucket: string, prefix: string) =>
  infiniteQueryOptions({
    queryKey: ["bucket", "objects", bucket, prefix],
    queryFn: ({ pageParam, signal }): Promise<ObjectPage> =>
      getJson<ObjectPage>(`${path(bucket)}/objects`, { prefix, delimiter: "/", page_token: pageParam }, signal),
    initialPageParam: "",
    getNextPageParam: (page: ObjectPage) => page.next_page_token,
  });

export const objectQuery = (name: ObjectName) =>
  queryOptions({
    queryKey: ["bucket", "object", name],
    queryFn: ({ signal }) => getJson<StoredObject>(`${path(name.bucket)}/object`, named(name), signal),
    retry: false,
  });

export const objectPreviewQuery = (name: ObjectName) =>
  queryOptions({
    queryKey: ["bucket", "preview", name],
    queryFn: ({ signal }) => getJson<Preview>(`${path(name.bucket)}/object/preview`, named(name), signal),
    retry: false,
  });

export const objectVersionsQuery = (name: ObjectName) =>
  queryOptions({
    queryKey: ["bucket", "versions", name.bucket, name.key],
    queryFn: ({ signal }) =>
      getJson<Schemas["ListObjectVersionsResponse"]>(
        `${path(name.bucket)}/object/versions`,
        { key: name.key, page_size: 1000 },
        signal,
      ),
  });

export const objectDownloadPath = (name: ObjectName) => withQuery(`${path(name.bucket)}/object/download`, named(name));

export const createBucket = (name: string, versions: boolean) =>
  sendJson<Bucket>("POST", `${own}/buckets`, { name, versioning: versions ? "ENABLED" : "OFF" });
export const setVersioning = (bucket: string, versioning: "ENABLED" | "SUSPENDED") =>
  sendJson<Bucket>("PATCH", path(bucket), { versioning });
export const deleteBucket = (bucket: string) => sendJson("DELETE", path(bucket));
export const deleteObjects = (bucket: string, what: { objects?: { key: string }[]; prefix?: string }) =>
  sendJson<Deleted>("POST", `${path(bucket)}/objects:delete`, what);
export const deleteObject = (name: ObjectName) =>
  sendJson("DELETE", withQuery(`${path(name.bucket)}/object`, named(name)));
export const copyObject = (
  bucket: string,
  request: { source_key: string; source_version_id?: string; key: string; move?: boolean; replace?: boolean },
) => sendJson("POST", `${path(bucket)}/objects:copy`, request);
export const setTags = (name: ObjectName, tags: { [name: string]: string }) =>
  sendJson("PUT", withQuery(`${path(name.bucket)}/object/tags`, named(name)), { tags });

export interface UploadRequest {
  bucket: string;
  key: string;
  body: Blob;
  /** Take the place of an object that is there; else that is an ApiError of status 412. */
  replace: boolean;
  onProgress?(sent: number): void;
  signal?: AbortSignal;
}

/** Sends a file as it lies on the disk. By XMLHttpRequest, as fetch() tells nothing of its progress. */
export function uploadObject({ bucket, key, body, replace, onProgress, signal }: UploadRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", withQuery(`${path(bucket)}/object`, { key }));
    if (body.type) request.setRequestHeader("content-type", body.type);
    if (!replace) request.setRequestHeader("if-none-match", "*");
    request.upload.onprogress = (event) => onProgress?.(event.loaded);
    request.onload = () => {
      if (request.status < 300) resolve();
      else reject(new ApiError(request.status, reasonOf(request.responseText) ?? request.statusText));
    };
    request.onerror = () => reject(new UnreachableError(key));
    request.onabort = () => reject(new DOMException(key, "AbortError"));
    signal?.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}

function reasonOf(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { message?: string }).message;
  } catch {
    return text.slice(0, 500) || undefined;
  }
}

/** What is gone is no longer listed; of itself, nothing is asked any more. */
export const refreshLists = (queries: QueryClient) =>
  queries.invalidateQueries({
    predicate: ({ queryKey: [kind, what] }) =>
      kind === "bucket" && ["list", "objects", "usage", "versions"].includes(String(what)),
  });
