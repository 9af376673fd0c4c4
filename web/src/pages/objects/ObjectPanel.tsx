import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Copy, Download, FilePen, Plus, Trash2, X } from "lucide-react";
import { useState } from "react";
import {
  type Bucket,
  deleteObject,
  type ListedObject,
  type ObjectName,
  objectDownloadPath,
  objectPreviewQuery,
  objectQuery,
  objectVersionsQuery,
  refreshLists,
  type StoredObject,
  setTags,
} from "../../api/objects";
import { useTranslator } from "../../i18n";
import { Button, IconButton } from "../../ui/Button";
import { ConfirmDialog } from "../../ui/Dialog";
import { bytes } from "../../ui/format";
import { Empty, ErrorNotice, errorText, Loading } from "../../ui/Notice";
import { Tabs } from "../../ui/Tabs";
import { toast } from "../../ui/toasts";
import { PreviewOf } from "../artifacts/PreviewPane";
import { KeyDialog } from "./KeyDialog";
import { folderOf, nameOf } from "./keys";

interface Props {
  bucket: Bucket;
  objectKey: string;
  /** Another one in its place, or none. */
  onOpen(key: string | undefined): void;
}

/** All about one object, beside the list. */
export function ObjectPanel({ bucket, objectKey, onOpen }: Props) {
  const { t } = useTranslator();
  const queries = useQueryClient();
  const [tab, setTab] = useState("preview");
  const [version, setVersion] = useState<string>();
  const [open, setOpen] = useState<"copy" | "rename" | "delete">();
  const name: ObjectName = { bucket: bucket.name, key: objectKey, version };
  const versioned = bucket.versioning !== "OFF";
  const tabs = [
    { id: "preview", label: t("artifact.preview"), content: () => <ObjectPreview name={name} /> },
    { id: "details", label: t("run.details"), content: () => <ObjectFacts name={name} /> },
    ...(versioned
      ? [
          {
            id: "versions",
            label: t("objects.versions"),
            content: () => (
              <Versions
                name={name}
                onChoose={(id) => {
                  setVersion(id);
                  setTab("preview");
                }}
              />
            ),
          },
        ]
      : []),
  ];
  return (
    <aside className="panel" aria-label={t("objects.panel", { name: objectKey })}>
      <div className="row">
        <h2 className="grow ellipsis" title={objectKey}>
          {nameOf(objectKey)}
        </h2>
        <IconButton label={t("action.close")} onPress={() => onOpen(undefined)}>
          <X size={16} aria-hidden />
        </IconButton>
      </div>
      <div className="row wrap">
        <a className="button small" href={objectDownloadPath(name)} download>
          <Download size={13} aria-hidden />
          {t("action.download")}
        </a>
        <Button small onPress={() => setOpen("copy")}>
          <Copy size={13} aria-hidden />
          {t("objects.copy")}
        </Button>
        {version === undefined && (
          <Button small onPress={() => setOpen("rename")}>
            <FilePen size={13} aria-hidden />
            {t("objects.rename")}
          </Button>
        )}
        <Button small onPress={() => setOpen("delete")}>
          <Trash2 size={13} aria-hidden />
          {t("action.delete")}
        </Button>
        {version !== undefined && (
          <span className="row">
            <span className="tag">{t("objects.version", { id: version })}</span>
            <IconButton small label={t("objects.newest")} onPress={() => setVersion(undefined)}>
              <X size={13} aria-hidden />
            </IconButton>
          </span>
        )}
      </div>
      <Tabs label={t("objects.views")} tabs={tabs} selected={tab} onSelect={setTab} />
      {(open === "copy" || open === "rename") && (
        <KeyDialog
          bucket={bucket.name}
          prefix={folderOf(objectKey)}
          source={{ key: objectKey, version, move: open === "rename" }}
          onClose={() => setOpen(undefined)}
          onDone={onOpen}
        />
      )}
      {open === "delete" && (
        <ConfirmDialog
          title={t("objects.deleteOne", { name: nameOf(objectKey) })}
          action={t("action.delete")}
          danger
          onClose={() => setOpen(undefined)}
          onConfirm={async () => {
            await deleteObject(name);
            onOpen(undefined);
            await refreshLists(queries);
          }}
        >
          <p>{t(version === undefined && versioned ? "objects.deleteOne.marker" : "objects.deleteOne.text")}</p>
        </ConfirmDialog>
      )}
    </aside>
  );
}

function ObjectPreview({ name }: { name: ObjectName }) {
  const query = useQuery(objectPreviewQuery(name));
  if (query.error) return <ErrorNotice error={query.error} onRetry={() => query.refetch()} />;
  if (!query.data) return <Loading />;
  return (
    <div className="stack">
      <PreviewOf preview={query.data} download={objectDownloadPath(name)} />
    </div>
  );
}

function ObjectFacts({ name }: { name: ObjectName }) {
  const { t, time, number } = useTranslator();
  const query = useQuery(objectQuery(name));
  if (query.error) return <ErrorNotice error={query.error} onRetry={() => query.refetch()} />;
  if (!query.data) return <Loading />;
  const object = query.data;
  const size = Number(object.size ?? 0);
  const facts: [string, string][] = [
    [t("objects.key"), object.key],
    [t("artifact.uri"), `s3://${name.bucket}/${object.key}`],
    [t("objects.size"), `${bytes(size)} (${number(size)})`],
    [t("objects.modified"), time(object.modified_at)],
    ["ETag", object.etag ?? "—"],
    ...(object.content_type ? [[t("objects.contentType"), object.content_type] as [string, string]] : []),
    ...(object.version_id ? [[t("objects.versionId"), object.version_id] as [string, string]] : []),
    ...(object.retention
      ? [[t("objects.lockedUntil"), `${object.retention.mode}, ${time(object.retention.until)}`] as [string, string]]
      : []),
    ...(object.legal_hold ? [[t("objects.hold"), t("objects.holdOn")] as [string, string]] : []),
    ...Object.entries(object.headers),
    ...Object.entries(object.metadata),
    ...Object.entries(object.checksum ?? {}),
  ];
  return (
    <div className="stack">
      <dl className="facts">
        {facts.map(([label, value]) => (
          <div key={label} style={{ display: "contents" }}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <Tags name={name} object={object} />
    </div>
  );
}

function Tags({ name, object }: { name: ObjectName; object: StoredObject }) {
  const { t } = useTranslator();
  const queries = useQueryClient();
  const [key, setKey] = useState("");
  const [value, setValue] = useState("");
  async function change(tags: { [name: string]: string }) {
    try {
      await setTags(name, tags);
      setKey("");
      setValue("");
      await queries.invalidateQueries({ queryKey: ["bucket", "object"] });
    } catch (error) {
      toast(errorText(error, t), true);
    }
  }
  return (
    <section className="stack" aria-label={t("field.tags")}>
      <h3>{t("field.tags")}</h3>
      <div className="row wrap">
        {Object.entries(object.tags).map(([one, text]) => (
          <span key={one} className="tag row">
            {one} = {text}
            <IconButton
              small
              label={t("objects.removeTag", { name: one })}
              onPress={() => change(Object.fromEntries(Object.entries(object.tags).filter(([other]) => other !== one)))}
            >
              <X size={12} aria-hidden />
            </IconButton>
          </span>
        ))}
      </div>
      <form
        className="row"
        onSubmit={(event) => {
          event.preventDefault();
          change({ ...object.tags, [key]: value });
        }}
      >
        <input
          className="input"
          aria-label={t("objects.tagName")}
          placeholder={t("objects.tagName")}
          required
          maxLength={128}
          value={key}
          onChange={(event) => setKey(event.target.value)}
        />
        <input
          className="input"
          aria-label={t("objects.tagValue")}
          placeholder={t("objects.tagValue")}
          maxLength={256}
          value={value}
          onChange={(event) => setValue(event.target.value)}
        />
        <Button type="submit">
          <Plus size={14} aria-hidden />
          {t("objects.addTag")}
        </Button>
      </form>
    </section>
  );
}

function Versions({ name, onChoose }: { name: ObjectName; onChoose(version: string | undefined): void }) {
  const { t, time } = useTranslator();
  const query = useQuery(objectVersionsQuery(name));
  if (query.error) return <ErrorNotice error={query.error} onRetry={() => query.refetch()} />;
  if (!query.data) return <Loading />;
  const { versions, next_page_token: more } = query.data;
  if (versions.length === 0) return <Empty title={t("objects.noVersions")} />;
  return (
    <>
      <ul className="entries">
        {versions.map((one) => (
          <VersionLine
            key={one.version_id}
            name={name}
            version={one}
            time={time(one.modified_at)}
            onChoose={onChoose}
          />
        ))}
      </ul>
      {more && <p className="muted">{t("lineage.truncated")}</p>}
    </>
  );
}

interface LineProps {
  name: ObjectName;
  version: ListedObject;
  time: string;
  onChoose(version: string | undefined): void;
}

function VersionLine({ name, version, time, onChoose }: LineProps) {
  const { t } = useTranslator();
  const queries = useQueryClient();
  const id = version.version_id ?? "null";
  const [asking, setAsking] = useState(false);
  return (
    <li className="row wrap">
      {version.delete_marker ? (
        <span className="grow">{time}</span>
      ) : (
        <button type="button" className="link grow" onClick={() => onChoose(version.latest ? undefined : id)}>
          {time}
        </button>
      )}
      {version.latest && <span className="tag">{t("objects.latest")}</span>}
      <span className="muted">{version.delete_marker ? t("objects.marker") : bytes(Number(version.size ?? 0))}</span>
      <IconButton small label={t("objects.deleteVersion", { id })} onPress={() => setAsking(true)}>
        <Trash2 size={14} aria-hidden />
      </IconButton>
      {asking && (
        <ConfirmDialog
          title={t("objects.deleteVersion", { id })}
          action={t("action.delete")}
          danger
          onClose={() => setAsking(false)}
          onConfirm={async () => {
            await deleteObject({ ...name, version: id });
            await refreshLists(queries);
          }}
        >
          <p>{t(version.delete_marker ? "objects.deleteVersion.marker" : "objects.deleteOne.text")}</p>
        </ConfirmDialog>
      )}
    </li>
  );
}
