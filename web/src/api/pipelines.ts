import { send, sendJson, v2, withQuery } from "./client";
import type { Pipeline, PipelineVersion } from "./types";

interface UploadRequest {
  file: File;
  name?: string;
  description?: string;
}

function form(file: File): FormData {
  const body = new FormData();
  body.append("uploadfile", file, file.name);
  return body;
}

/** Uploads a YAML, .zip or .tar.gz as a new pipeline with its first version. */
export async function uploadPipeline({ file, name, description }: UploadRequest): Promise<Pipeline> {
  const path = withQuery(`${v2}/pipelines/upload`, {
    name: name || undefined,
    display_name: name || undefined,
    description,
  });
  return (await send(path, { method: "POST", body: form(file) })).json() as Promise<Pipeline>;
}

export async function uploadVersion(
  pipeline: string,
  { file, name, description }: UploadRequest,
): Promise<PipelineVersion> {
  const path = withQuery(`${v2}/pipelines/upload_version`, {
    pipelineid: pipeline,
    name: name || undefined,
    description,
  });
  return (await send(path, { method: "POST", body: form(file) })).json() as Promise<PipelineVersion>;
}

export const deletePipeline = (id: string) =>
  send(withQuery(`${v2}/pipelines/${encodeURIComponent(id)}`, { cascade: true }), { method: "DELETE" });

export const deleteVersion = (pipeline: string, version: string) =>
  send(`${v2}/pipelines/${encodeURIComponent(pipeline)}/versions/${encodeURIComponent(version)}`, { method: "DELETE" });

export const setPipelineTags = (id: string, tags: { [key: string]: string }) =>
  sendJson<Pipeline>("PATCH", `${v2}/pipelines/${encodeURIComponent(id)}`, { tags });
