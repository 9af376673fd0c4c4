import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { File as FileIcon, Folder, FolderPlus, History, Trash2, Upload } from "lucide-react";
import { type DragEvent, useCallback, useMemo, useRef, useState } from "react";
import { Link, useParams, useSearchParams } from "react-router";
import {
  type Bucket,
  bucketQuery,
  type Deleted,
  deleteObjects,
  objectsQuery,
  refreshLists,
  setVersioning,
  usageQuery,
} from "../../api/objects";
import { useTranslator } from "../../i18n";
import { Button } from "../../ui/Button";
import type { Column } from "../../ui/DataTable";
import { ConfirmDialog } from "../../ui/Dialog";
import { bytes } from "../../ui/format";
import { Empty, ErrorNotice, Loading } from "../../ui/Notice";
import { Page } from "../../ui/Page";
import { QueryTable } from "../../ui/QueryTable";
import { SearchField } from "../../ui/SearchField";
import { toast } from "../../ui/toasts";
import { KeyDialog } from "./KeyDialog";
import { bucketLink, type Entry, entriesOf, nameOf, waysTo } from "./keys";
import { ObjectPanel } from "./ObjectPanel";
import { UploadList } from "./UploadList";
import { droppedFiles, useUploads } from "./uploads";
import "../runs/panel.css";
import "./objects.css";

export function BucketPage() {
  const { t } = useTranslator();
  const { bucket = "" } = useParams();
  const [params, setParams] = useSearchParams();
  const prefix = params.get("prefix") ?? "";
  const beginning = params.get("q") ?? "";
  const object = params.get("object") ?? undefined;
  const query = useQuery(bucketQuery(bucket));
  const set = useCallback(
    (name: string, value: string | undefined) =>
      setParams(
        (now) => {
          const next = new URLSearchParams(now);
          if (value) next.set(name, value);
          else next.delete(name);
          return next;
        },
        { replace: true },
      ),
    [setParams],
  );
  const crumbs = [{ to: "/objects", label: t("objects.title") }];
  if (!query.data)
    return (
      <Page title={bucket} crumbs={crumbs}>
        {query.error ? <ErrorNotice error={query.error} onRetry={() => query.refetch()} /> : <Loading />}
      </Page>
    );
  const ways = waysTo(prefix);
  return (
    <Page
      title={ways.length === 0 ? bucket : (ways.at(-1)?.name ?? "") || "/"}
      crumbs={
        ways.length === 0
          ? crumbs
          : [
              ...crumbs,
              { to: bucketLink(bucket), label: bucket },
              ...ways
                .slice(0, -1)
                .map(({ prefix: to, name }) => ({ to: bucketLink(bucket, { prefix: to }), label: name || "/" })),
            ]
      }
      beside={<FolderUsage bucket={bucket} prefix={prefix} />}
      actions={<VersioningButton bucket={query.data} />}
    >
      <div className="split">
        <FolderList
          key={prefix}
          bucket={bucket}
          prefix={prefix}
          beginning={beginning}
          onBeginning={(value) => set("q", value)}
          onOpen={(key) => set("object", key)}
          onGone={(keys) => object !== undefined && keys.has(object) && set("object", undefined)}
        />
        {object !== undefined && (
          <ObjectPanel key={object} bucket={query.data} objectKey={object} onOpen={(key) => set("object", key)} />
        )}
      </div>
    </Page>
  );
}

function FolderUsage({ bucket, prefix }: { bucket: string; prefix: string }) {
  const { t, number } = useTranslator();
  const query = useQuery(usageQuery(bucket, prefix));
  if (!query.data) return null;
  const { objects, bytes: size, truncated } = query.data;
  return (
    <span className="muted">
      {t(truncated ? "objects.usageMore" : "objects.usage", {
        count: number(Number(objects)),
        size: bytes(Number(size)),
      })}
    </span>
  );
}

function VersioningButton({ bucket }: { bucket: Bucket }) {
  const { t } = useTranslator();
  const queries = useQueryClient();
  const [asking, setAsking] = useState(false);
  const enabled = bucket.versioning === "ENABLED";
  const action = t(enabled ? "objects.stopVersions" : "objects.startVersions");
  return (
    <>
      <Button isDisabled={enabled && bucket.object_lock} onPress={() => setAsking(true)}>
        <History size={15} aria-hidden />
        {action}
      </Button>
      {asking && (
        <ConfirmDialog
          title={action}
          action={action}
          onClose={() => setAsking(false)}
          onConfirm={async () => {
            await setVersioning(bucket.name, enabled ? "SUSPENDED" : "ENABLED");
            await queries.invalidateQueries({ queryKey: ["bucket"] });
          }}
        >
          <p>{t(enabled ? "objects.stopVersions.text" : "objects.startVersions.text")}</p>
        </ConfirmDialog>
      )}
    </>
  );
}

interface ListProps {
  bucket: string;
  prefix: string;
  /** What names must begin with, within the folder. */
  beginning: string;
  onBeginning(value: string): void;
  onOpen(key: string): void;
  /** Those were deleted, folders with all that was in them. */
  onGone(keys: ReadonlySet<string>): void;
}

function FolderList({ bucket, prefix, beginning, onBeginning, onOpen, onGone }: ListProps) {
  const { t } = useTranslator();
  const queries = useQueryClient();
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [open, setOpen] = useState<"folder" | "delete">();
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const query = useInfiniteQuery(objectsQuery(bucket, prefix + beginning));
  const items = useMemo(() => query.data?.pages.flatMap((page) => entriesOf(page, prefix)) ?? [], [query.data, prefix]);
  const refresh = useCallback(() => queries.invalidateQueries({ queryKey: ["bucket"] }), [queries]);
  const { uploads, add, again, clear } = useUploads(bucket, refresh);
  const columns = useColumns(bucket, onOpen);

  async function drop(event: DragEvent) {
    event.preventDefault();
    setOver(false);
    add(prefix, await droppedFiles(event.dataTransfer));
  }
  return (
    <section
      className={over ? "page-part drop-zone over" : "page-part drop-zone"}
      aria-label={t("objects.place")}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <div className="toolbar">
        <SearchField label={t("objects.beginning")} value={beginning} onChange={onBeginning} />
        <span className="grow" />
        <Button isDisabled={selected.size === 0} onPress={() => setOpen("delete")}>
          <Trash2 size={15} aria-hidden />
          {t("action.delete")}
        </Button>
        <Button onPress={() => setOpen("folder")}>
          <FolderPlus size={15} aria-hidden />
          {t("objects.newFolder")}
        </Button>
        <Button look="primary" onPress={() => input.current?.click()}>
          <Upload size={15} aria-hidden />
          {t("action.upload")}
        </Button>
        <input
          ref={input}
          className="visually-hidden"
          type="file"
          multiple
          tabIndex={-1}
          aria-label={t("objects.choose")}
          onChange={(event) => {
            add(
              prefix,
              [...(event.target.files ?? [])].map((file) => ({ name: file.name, file })),
            );
            event.target.value = "";
          }}
        />
      </div>
      <UploadList uploads={uploads} onAgain={again} onClear={clear} />
      <QueryTable
        query={query}
        label={t("objects.content")}
        items={items}
        columns={columns}
        idOf={({ key }) => key}
        selected={selected}
        onSelect={setSelected}
        empty={<Empty title={beginning ? t("runs.noMatch") : t("objects.empty")}>{t("objects.dropHere")}</Empty>}
      />
      {open === "folder" && <KeyDialog bucket={bucket} prefix={prefix} onClose={() => setOpen(undefined)} />}
      {open === "delete" && (
        <DeleteDialog
          bucket={bucket}
          keys={[...selected]}
          onClose={() => setOpen(undefined)}
          onDone={async () => {
            setSelected(new Set());
            onGone(selected);
            await refreshLists(queries);
          }}
        />
      )}
    </section>
  );
}

function useColumns(bucket: string, onOpen: (key: string) => void): Column<Entry>[] {
  const { t, time, ago } = useTranslator();
  return useMemo(
    () => [
      {
        id: "name",
        header: t("field.name"),
        cell: (entry) =>
          entry.folder ? (
            <Link className="row" to={bucketLink(bucket, { prefix: entry.key })}>
              <Folder size={15} aria-hidden />
              <span className="ellipsis">{nameOf(entry.key)}/</span>
            </Link>
          ) : (
            <button type="button" className="link row" onClick={() => onOpen(entry.key)}>
              <FileIcon size={15} aria-hidden />
              <span className="ellipsis">{nameOf(entry.key)}</span>
            </button>
          ),
      },
      {
        id: "size",
        header: t("objects.size"),
        number: true,
        cell: (entry) => (entry.folder ? "" : bytes(Number(entry.object.size ?? 0))),
      },
      {
        id: "modified",
        header: t("objects.modified"),
        cell: (entry) =>
          entry.folder ? "" : <span title={time(entry.object.modified_at)}>{ago(entry.object.modified_at)}</span>,
      },
    ],
    [t, time, ago, bucket, onOpen],
  );
}

interface DeleteProps {
  bucket: string;
  keys: string[];
  onClose(): void;
  onDone(): Promise<void>;
}

const atOnce = 1000;

function DeleteDialog({ bucket, keys, onClose, onDone }: DeleteProps) {
  const { t } = useTranslator();
  const folders = keys.filter((key) => key.endsWith("/"));
  async function remove() {
    const answers: Deleted[] = [];
    for (const prefix of folders) answers.push(await deleteObjects(bucket, { prefix }));
    const objects = keys.filter((key) => !key.endsWith("/")).map((key) => ({ key }));
    for (let at = 0; at < objects.length; at += atOnce)
      answers.push(await deleteObjects(bucket, { objects: objects.slice(at, at + atOnce) }));
    for (const { errors } of answers)
      for (const { key, message } of errors.slice(0, 3)) toast(`${key}: ${message}`, true);
    const count = answers.reduce((sum, { deleted }) => sum + Number(deleted), 0);
    toast(t("objects.deleted", { count }));
    await onDone();
  }
  return (
    <ConfirmDialog
      title={t("objects.delete.title", { count: keys.length })}
      action={t("action.delete")}
      danger
      onClose={onClose}
      onConfirm={remove}
    >
      <ul className="names">
        {keys.slice(0, 8).map((key) => (
          <li key={key}>
            <code>{key}</code>
          </li>
        ))}
        {keys.length > 8 && <li>…</li>}
      </ul>
      {folders.length > 0 && <p>{t("objects.delete.folders")}</p>}
    </ConfirmDialog>
  );
}
