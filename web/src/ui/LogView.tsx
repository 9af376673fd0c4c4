import { useVirtualizer } from "@tanstack/react-virtual";
import Anser from "anser";
import { ArrowDown, ArrowDownToLine, ArrowUp, Download } from "lucide-react";
import { memo, useEffect, useMemo, useRef, useState } from "react";
import { send, withQuery } from "../api/client";
import { useTranslator } from "../i18n";
import { IconButton } from "./Button";
import { ErrorNotice } from "./Notice";
import { SearchField } from "./SearchField";
import "./log.css";

interface Props {
  /** Where the log is read; the whole is read, and then what is added to it while the step runs. */
  path: string;
  /** The step runs: keep reading. */
  follow: boolean;
  fileName: string;
}

interface Log {
  lines: string[];
  /** The last line has no end yet. */
  open: boolean;
  complete: boolean;
  error?: unknown;
}

/** Reads the log as it comes and tells of it at most once a frame, however fast it grows. */
function useLog(path: string, follow: boolean): Log {
  const [log, setLog] = useState<Log>({ lines: [], open: false, complete: false });
  useEffect(() => {
    const stop = new AbortController();
    let lines: string[] = [];
    let rest = "";
    let frame = 0;
    const tell = (complete: boolean, error?: unknown) => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() =>
        setLog({ lines: rest === "" ? lines : [...lines, rest], open: rest !== "", complete, error }),
      );
    };
    async function read() {
      const response = await send(withQuery(path, { follow: follow || undefined }), { signal: stop.signal });
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      for (let chunk = await reader?.read(); chunk && !chunk.done; chunk = await reader?.read()) {
        const parts = (rest + chunk.value).split("\n");
        rest = parts.pop() ?? "";
        // A new array, so that a frame that is drawn keeps the one that it has.
        lines = lines.concat(parts);
        tell(false);
      }
      tell(true);
    }
    setLog({ lines: [], open: false, complete: false });
    read().catch((error: unknown) => {
      if (!stop.signal.aborted) tell(true, error);
    });
    return () => {
      stop.abort();
      cancelAnimationFrame(frame);
    };
  }, [path, follow]);
  return log;
}

const lineHeight = 18;

export function LogView({ path, follow, fileName }: Props) {
  const { t, number } = useTranslator();
  const { lines, complete, error } = useLog(path, follow);
  const frame = useRef<HTMLDivElement>(null);
  const [search, setSearch] = useState("");
  const [at, setAt] = useState(0);
  const [atEnd, setAtEnd] = useState(true);
  const rows = useVirtualizer({
    count: lines.length,
    getScrollElement: () => frame.current,
    estimateSize: () => lineHeight,
    overscan: 20,
  });
  const wanted = search.toLowerCase();
  const matches = useMemo(
    () => (wanted === "" ? [] : lines.flatMap((line, index) => (line.toLowerCase().includes(wanted) ? [index] : []))),
    [lines, wanted],
  );
  const matchSet = useMemo(() => new Set(matches), [matches]);

  useEffect(() => {
    if (follow && atEnd && lines.length > 0) rows.scrollToIndex(lines.length - 1);
  }, [lines, follow, atEnd, rows]);
  function go(step: number) {
    if (matches.length === 0) return;
    const next = (at + step + matches.length) % matches.length;
    setAt(next);
    rows.scrollToIndex(matches[next] as number, { align: "center" });
  }
  if (error !== undefined && lines.length === 0) return <ErrorNotice error={error} />;
  return (
    <div className="log">
      <div className="toolbar">
        <SearchField
          label={t("log.search")}
          value={search}
          onChange={(value) => {
            setSearch(value);
            setAt(0);
          }}
        />
        {wanted !== "" && (
          <>
            <span className="muted">
              {matches.length === 0 ? t("log.noMatch") : `${at + 1} / ${number(matches.length)}`}
            </span>
            <IconButton label={t("log.previous")} small onPress={() => go(-1)}>
              <ArrowUp size={14} aria-hidden />
            </IconButton>
            <IconButton label={t("log.next")} small onPress={() => go(1)}>
              <ArrowDown size={14} aria-hidden />
            </IconButton>
          </>
        )}
        <span className="grow" />
        <span className="muted" aria-live="polite">
          {complete
            ? t("log.lines", { count: number(lines.length) })
            : t("log.reading", { count: number(lines.length) })}
        </span>
        <IconButton label={t("log.toEnd")} small onPress={() => rows.scrollToIndex(lines.length - 1)}>
          <ArrowDownToLine size={14} aria-hidden />
        </IconButton>
        <a
          className="button quiet icon small"
          href={path}
          download={fileName}
          aria-label={t("log.download")}
          title={t("log.download")}
        >
          <Download size={14} aria-hidden />
        </a>
      </div>
      <section
        className="log-frame"
        ref={frame}
        tabIndex={0}
        aria-label={t("log.label")}
        onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) =>
          setAtEnd(scrollHeight - scrollTop - clientHeight < 3 * lineHeight)
        }
      >
        {complete && lines.length === 0 ? (
          <p className="muted">{t("log.empty")}</p>
        ) : (
          <div className="log-lines" style={{ height: rows.getTotalSize() }}>
            {rows.getVirtualItems().map(({ index, start }) => (
              <div
                key={index}
                className={
                  matches[at] === index ? "log-line current" : matchSet.has(index) ? "log-line match" : "log-line"
                }
                style={{ transform: `translateY(${start}px)` }}
              >
                <span className="log-number" aria-hidden>
                  {index + 1}
                </span>
                <span>
                  <LogText line={lines[index] as string} />
                </span>
              </div>
            ))}
          </div>
        )}
      </section>
    </div>
  );
}

/** What a terminal shows of a line: the last rewrite by carriage returns, in the colours of its escape codes. */
const LogText = memo(function LogText({ line }: { line: string }) {
  const shown = line.replace(/\r$/, "");
  const text = shown.slice(shown.lastIndexOf("\r") + 1).slice(0, 20000);
  if (!text.includes("\u001b")) return <>{text}</>;
  return Anser.ansiToJson(text, { use_classes: true, remove_empty: true }).map(
    ({ content, fg, bg, decorations }, index) => (
      <span
        key={index}
        className={[fg, bg && `${bg}-bg`, ...decorations.map((name) => `ansi-${name}`)].filter(Boolean).join(" ")}
      >
        {content}
      </span>
    ),
  );
});
