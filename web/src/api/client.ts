import type { Json, Page } from "./types";

/** What the server answered when it refused: its status, and the reason it gave. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** gRPC's code, where the body names one. */
    readonly code?: number,
  ) {
    super(message);
  }
}

/** The server could not be reached at all. */
export class UnreachableError extends Error {}

export type Query = { [key: string]: string | number | boolean | undefined };

export function withQuery(path: string, query?: Query): string {
  const pairs = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== "");
  if (pairs.length === 0) return path;
  return `${path}?${pairs.map(([key, value]) => `${key}=${encodeURIComponent(String(value))}`).join("&")}`;
}

async function refusal(response: Response): Promise<ApiError> {
  const text = await response.text();
  try {
    // The shapes of the API's calls, and of its uploads.
    const body = JSON.parse(text) as {
      message?: string;
      error?: string;
      error_message?: string;
      error_details?: string;
      code?: number;
    };
    const reason = body.message ?? body.error ?? body.error_details ?? body.error_message;
    return new ApiError(response.status, reason ?? response.statusText, body.code);
  } catch {
    return new ApiError(response.status, text.slice(0, 500) || response.statusText);
  }
}

/** fetch() whose failures are ApiError and UnreachableError. The path is of this server; segments are encoded by the caller. */
export async function send(path: string, init?: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...init });
  } catch (cause) {
    if (init?.signal?.aborted) throw cause;
    throw new UnreachableError(path, { cause });
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

export async function getJson<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
  return (await (await send(withQuery(path, query), { signal })).json()) as T;
}

export async function sendJson<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await send(path, {
    method,
    headers: { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  return (text === "" ? {} : JSON.parse(text)) as T;
}

/** One page of a v2beta1 list whose items are under `field`. */
export async function getPage<T>(path: string, field: string, query?: Query, signal?: AbortSignal): Promise<Page<T>> {
  const body = await getJson<{ [key: string]: Json }>(path, query, signal);
  return {
    items: (body[field] as unknown as T[] | undefined) ?? [],
    total: Number(body.total_size ?? 0),
    next: (body.next_page_token as string | undefined) || undefined,
  };
}

export const v2 = "/apis/v2beta1";
export const own = "/apis/penstock/v1";

export type FilterOperation = "EQUALS" | "NOT_EQUALS" | "IN" | "IS_SUBSTRING" | "GREATER_THAN" | "LESS_THAN";

export interface Predicate {
  key: string;
  operation: FilterOperation;
  value: string | string[];
}

/** The JSON of the `filter` parameter, or undefined for no predicate. */
export function filterOf(predicates: Predicate[]): string | undefined {
  if (predicates.length === 0) return undefined;
  return JSON.stringify({
    predicates: predicates.map(({ key, operation, value }) =>
      Array.isArray(value)
        ? { key, operation, string_values: { values: value } }
        : { key, operation, string_value: value },
    ),
  });
}
