import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef } from "react";
import type { Task } from "../../api/types";
import { useTranslator } from "../../i18n";
import { duration } from "../../ui/format";
import { Empty } from "../../ui/Notice";
import { isFinal, StateIcon, stateLabel, stateLook } from "../../ui/StateBadge";
import { useNow } from "../../ui/useNow";
import "./timeline.css";

interface Props {
  tasks: Task[];
  selected?: string;
  onSelect(task: Task): void;
}

const rowHeight = 28;

/** Every task as a bar over the run's time: first what it waited, then what it ran. */
export function Timeline({ tasks, selected, onSelect }: Props) {
  const { t } = useTranslator();
  const frame = useRef<HTMLDivElement>(null);
  const running = tasks.some((task) => !isFinal(task.state));
  const now = useNow(running);
  const rows = useMemo(
    () =>
      tasks
        .filter((task) => task.type !== "ROOT" && task.state !== "SKIPPED")
        .map((task) => {
          const created = Date.parse(task.create_time);
          const begun = task.start_time === undefined ? undefined : Date.parse(task.start_time);
          return { task, created, begun, ended: task.end_time === undefined ? undefined : Date.parse(task.end_time) };
        })
        .sort((a, b) => a.created - b.created || (a.begun ?? Number.MAX_VALUE) - (b.begun ?? Number.MAX_VALUE)),
    [tasks],
  );
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => frame.current,
    estimateSize: () => rowHeight,
    overscan: 15,
  });
  const start = rows[0]?.created ?? now;
  const end = rows.reduce((latest, { ended }) => Math.max(latest, ended ?? now), start + 1);
  if (rows.length === 0) return <Empty title={t("timeline.empty")} />;
  const percent = (at: number) => `${((at - start) / (end - start)) * 100}%`;
  const ticks = [0, 0.25, 0.5, 0.75, 1];
  return (
    <section className="timeline" ref={frame} tabIndex={0} aria-label={t("run.timeline")}>
      <div className="timeline-head" aria-hidden>
        <span className="timeline-name" />
        <span className="timeline-track">
          {ticks.map((tick) => (
            <span key={tick} className="timeline-tick" style={{ left: `${tick * 100}%` }}>
              {duration((end - start) * tick)}
            </span>
          ))}
        </span>
      </div>
      <div style={{ height: virtual.getTotalSize(), position: "relative" }}>
        {virtual.getVirtualItems().map(({ index, start: top }) => {
          const { task, created, begun, ended } = rows[index] as (typeof rows)[number];
          const last = ended ?? now;
          const waited = (begun ?? last) - created;
          const ran = begun === undefined ? 0 : last - begun;
          const text = t("timeline.bar", {
            state: t(stateLabel(task.state)),
            waited: duration(waited),
            ran: duration(ran),
          });
          return (
            <button
              type="button"
              key={task.task_id}
              className={task.task_id === selected ? "timeline-row selected" : "timeline-row"}
              style={{ transform: `translateY(${top}px)` }}
              onClick={() => onSelect(task)}
              title={`${task.display_name}: ${text}`}
            >
              <span className="timeline-name">
                <span className={`state-${stateLook(task.state)} bare`}>
                  <StateIcon state={task.state} size={13} />
                </span>
                <span className="ellipsis">{task.display_name ?? task.name}</span>
              </span>
              <span className="timeline-track">
                <span
                  className="timeline-wait"
                  style={{ left: percent(created), width: `calc(${percent(created + waited)} - ${percent(created)})` }}
                />
                {begun !== undefined && (
                  <span
                    className={`timeline-run look-${stateLook(task.state)}`}
                    style={{ left: percent(begun), width: `calc(${percent(last)} - ${percent(begun)})` }}
                  />
                )}
                <span className="visually-hidden">{text}</span>
              </span>
            </button>
          );
        })}
      </div>
    </section>
  );
}
