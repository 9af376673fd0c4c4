import { useQuery } from "@tanstack/react-query";
import { Download, File, Folder } from "lucide-react";
import { lazy, Suspense } from "react";
import { downloadPath, type NotebookCell, type NotebookOutput, type Preview, previewQuery } from "../../api/artifacts";
import type { Artifact } from "../../api/types";
import { useTranslator } from "../../i18n";
import { bytes, valueText } from "../../ui/format";
import { Empty, ErrorNotice, Loading } from "../../ui/Notice";
import { useUrlState } from "../../ui/useUrlState";
import "./preview.css";

const Markdown = lazy(() => import("../../ui/Markdown"));

/** What an artifact holds, as far as it can be shown. Of a folder, what lies at `path` inside of it. */
export function PreviewPane({ artifact }: { artifact: Artifact }) {
  const { t } = useTranslator();
  const [inside, setInside] = useUrlState("path");
  const query = useQuery(previewQuery(artifact.artifact_id, inside));
  const parts = inside === "" ? [] : inside.split("/");
  return (
    <div className="stack">
      {parts.length > 0 && (
        <nav className="row wrap" aria-label={t("preview.path")}>
          <button type="button" className="link" onClick={() => setInside("")}>
            {artifact.name || artifact.artifact_id}
          </button>
          {parts.map((part, index) => (
            <span key={parts.slice(0, index + 1).join("/")} className="row">
              /
              <button type="button" className="link" onClick={() => setInside(parts.slice(0, index + 1).join("/"))}>
                {part}
              </button>
            </span>
          ))}
        </nav>
      )}
      {query.isPending && <Loading />}
      {query.error && <ErrorNotice error={query.error} />}
      {query.data && (
        <PreviewOf
          preview={query.data}
          download={downloadPath(artifact.artifact_id, inside)}
          onOpen={(name) => setInside(inside === "" ? name : `${inside}/${name}`)}
        />
      )}
    </div>
  );
}

interface OfProps {
  preview: Preview;
  download: string;
  /** Of a folder: one of its entries. */
  onOpen?(name: string): void;
}

/** A preview that the server made, of whatever. */
export function PreviewOf({ preview, download, onOpen }: OfProps) {
  return (
    <>
      <PreviewFacts preview={preview} download={download} />
      <PreviewBody preview={preview} onOpen={onOpen} />
    </>
  );
}

function PreviewFacts({ preview, download }: { preview: Preview; download: string }) {
  const { t, number } = useTranslator();
  return (
    <div className="row wrap muted">
      <span className="tag">{preview.kind}</span>
      {preview.size !== undefined && <span>{bytes(Number(preview.size))}</span>}
      {preview.format && <span>{preview.format}</span>}
      {preview.dtype && (
        <span>
          {preview.dtype} [{preview.shape?.join(" × ")}]
        </span>
      )}
      {preview.rows_total !== undefined && (
        <span>{t("preview.rows", { count: number(Number(preview.rows_total)) })}</span>
      )}
      {preview.truncated && <span>{t("preview.truncated")}</span>}
      {preview.kind !== "folder" && (
        <a href={download} download className="row">
          <Download size={14} aria-hidden />
          {t("action.download")}
        </a>
      )}
      {preview.problem && <strong>{preview.problem}</strong>}
    </div>
  );
}

function PreviewBody({ preview, onOpen }: { preview: Preview; onOpen?: (name: string) => void }) {
  const { t } = useTranslator();
  switch (preview.kind) {
    case "csv":
      return <Rows rows={preview.rows ?? []} header={preview.header ?? false} />;
    case "json":
    case "text":
      return (
        <pre className="code-block" tabIndex={0}>
          {preview.text}
        </pre>
      );
    case "jsonl":
      return (
        <pre className="code-block" tabIndex={0}>
          {preview.records?.map((record) => JSON.stringify(record)).join("\n")}
        </pre>
      );
    case "markdown":
      return (
        <Suspense fallback={<Loading />}>
          <Markdown text={preview.text ?? ""} />
        </Suspense>
      );
    case "html":
      // Another's page: no script, no form, nothing of this page's rights.
      return <iframe className="preview-frame" title={t("preview.page")} src={preview.raw} sandbox="" />;
    case "image":
      return <img className="preview-image" src={preview.raw} alt={t("preview.image")} />;
    case "notebook":
      return <Notebook cells={preview.cells ?? []} />;
    case "parquet":
      return <Schema preview={preview} />;
    case "folder":
    case "archive":
      return <Entries preview={preview} onOpen={preview.kind === "folder" ? onOpen : undefined} />;
    case "empty":
      return <Empty title={t("preview.empty")} />;
    default:
      return <Empty title={t("preview.none")} />;
  }
}

export function Rows({ rows, header }: { rows: string[][]; header: boolean }) {
  const [first, ...rest] = rows;
  const body = header ? rest : rows;
  return (
    <div className="table-frame rows">
      <table className="table">
        {header && first && (
          <thead>
            <tr>
              {first.map((cell, index) => (
                <th key={index} scope="col">
                  <span>{cell}</span>
                </th>
              ))}
            </tr>
          </thead>
        )}
        <tbody>
          {body.map((row, at) => (
            <tr key={at}>
              {row.map((cell, index) => (
                <td key={index} title={cell}>
                  {cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Notebook({ cells }: { cells: NotebookCell[] }) {
  return (
    <Suspense fallback={<Loading />}>
      <div className="stack notebook">
        {cells.map((cell, at) => (
          <div key={at} className="stack">
            {cell.type === "markdown" ? (
              <Markdown text={cell.source} />
            ) : (
              <pre className="code-block" tabIndex={0}>
                {cell.source}
              </pre>
            )}
            {cell.outputs?.map((output, of) => (
              <Output key={of} output={output} />
            ))}
          </div>
        ))}
      </div>
    </Suspense>
  );
}

/** The richest of what an output offers that is only data: its pages and scripts are left out by the server. */
function Output({ output: { text, data, omitted } }: { output: NotebookOutput }) {
  const { t } = useTranslator();
  const image = ["image/png", "image/jpeg"].find((type) => data?.[type]);
  if (image) return <img alt={t("preview.image")} src={`data:${image};base64,${data?.[image]?.replace(/\s/g, "")}`} />;
  if (data?.["text/markdown"]) return <Markdown text={data["text/markdown"]} />;
  const plain = text ?? data?.["text/plain"] ?? data?.["application/json"];
  if (plain) return <pre tabIndex={0}>{plain}</pre>;
  return omitted ? <p className="muted">{omitted.join(", ")}</p> : null;
}

function Schema({ preview }: { preview: Preview }) {
  const { t, number } = useTranslator();
  return (
    <div className="stack">
      <p className="muted">
        {t("preview.groups", { count: number(preview.row_groups ?? 0) })} {preview.created_by}
      </p>
      <ul className="schema">
        {preview.schema?.map((column, index) => (
          <li key={index} style={{ paddingLeft: (column.depth ?? 0) * 18 }}>
            <strong>{column.name}</strong>{" "}
            <span className="muted">
              {[column.type, column.logical_type, column.repetition].filter(Boolean).map(valueText).join(" · ")}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Entries({ preview, onOpen }: { preview: Preview; onOpen?: (name: string) => void }) {
  const { t } = useTranslator();
  if (preview.entries?.length === 0) return <Empty title={t("preview.empty")} />;
  return (
    <ul className="entries">
      {preview.entries?.map(({ name, folder, kind, size }) => (
        <li key={name} className="row">
          {folder || kind === "folder" ? <Folder size={15} aria-hidden /> : <File size={15} aria-hidden />}
          {onOpen ? (
            <button type="button" className="link grow" onClick={() => onOpen(name)}>
              {name}
            </button>
          ) : (
            <span className="grow">{name}</span>
          )}
          <span className="muted">{size !== undefined && kind !== "folder" && bytes(Number(size))}</span>
        </li>
      ))}
    </ul>
  );
}
