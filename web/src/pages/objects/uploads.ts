import { useCallback, useEffect, useRef, useState } from "react";
import { ApiError, UnreachableError } from "../../api/client";
import { uploadObject } from "../../api/objects";

export interface Upload {
  id: number;
  key: string;
  size: number;
  sent: number;
  state: "waiting" | "sending" | "done" | "exists" | "failed";
  problem?: unknown;
}

const atOnce = 3;

/** Files on their way into a bucket, a few at a time. Leaving the page ends them. */
export function useUploads(bucket: string, onDone: () => void) {
  const [uploads, setUploads] = useState<Upload[]>([]);
  const files = useRef(new Map<number, { file: Blob; replace: boolean }>());
  const control = useRef(new AbortController());
  const last = useRef(0);
  const change = useCallback(
    (id: number, part: Partial<Upload>) =>
      setUploads((now) => now.map((one) => (one.id === id ? { ...one, ...part } : one))),
    [],
  );
  useEffect(() => {
    const current = new AbortController();
    control.current = current;
    return () => current.abort();
  }, []);

  const sending = uploads.filter(({ state }) => state === "sending").length;
  const next = sending < atOnce ? uploads.find(({ state }) => state === "waiting") : undefined;
  useEffect(() => {
    if (next === undefined) return;
    const { id, key } = next;
    const source = files.current.get(id);
    if (source === undefined) return;
    change(id, { state: "sending", sent: 0, problem: undefined });
    uploadObject({
      bucket,
      key,
      body: source.file,
      replace: source.replace,
      onProgress: (sent) => change(id, { sent }),
      signal: control.current.signal,
    }).then(
      () => {
        files.current.delete(id);
        change(id, { state: "done", sent: source.file.size });
        onDone();
      },
      (problem: unknown) => {
        if (!(problem instanceof ApiError) && !(problem instanceof UnreachableError)) return;
        const exists = problem instanceof ApiError && problem.status === 412;
        change(id, { state: exists ? "exists" : "failed", problem });
      },
    );
  }, [next, bucket, change, onDone]);

  const add = useCallback((prefix: string, chosen: { name: string; file: File }[]) => {
    const added = chosen.map(({ name, file }): Upload => {
      const id = ++last.current;
      files.current.set(id, { file, replace: false });
      return { id, key: prefix + name, size: file.size, sent: 0, state: "waiting" };
    });
    setUploads((now) => [...now, ...added]);
  }, []);
  /** Once more: in the place of what is there, or what failed. */
  const again = useCallback(
    (id: number, replace: boolean) => {
      const source = files.current.get(id);
      if (source) source.replace ||= replace;
      change(id, { state: "waiting" });
    },
    [change],
  );
  const clear = useCallback(
    () => setUploads((now) => now.filter(({ state }) => state === "waiting" || state === "sending")),
    [],
  );
  return { uploads, add, again, clear };
}

/** The files that were dropped, those in folders with their paths. */
export async function droppedFiles(transfer: DataTransfer): Promise<{ name: string; file: File }[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const found: { name: string; file: File }[] = [];
  async function walk(entry: FileSystemEntry, folder: string): Promise<void> {
    const name = folder + entry.name;
    if (entry.isFile) {
      const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
      found.push({ name, file });
      return;
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    // A reader gives some at a time, and none at the end.
    for (;;) {
      const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
      if (some.length === 0) return;
      for (const one of some) await walk(one, `${name}/`);
    }
  }
  for (const entry of entries) await walk(entry, "");
  if (entries.length > 0) return found;
  return [...transfer.files].map((file) => ({ name: file.name, file }));
}
