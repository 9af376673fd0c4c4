import { queryOptions } from "@tanstack/react-query";
import { getJson, own, send, sendJson, v2 } from "./client";
import type { RecurringRun } from "./types";

export type Trigger = NonNullable<RecurringRun["trigger"]>;

export interface Schedule {
  upcoming?: { scheduled_at: string }[];
  runs_made?: number;
  last_scheduled_at?: string;
}

export const recurringRunQuery = (id: string) =>
  queryOptions({
    queryKey: ["recurring_run", "detail", id],
    queryFn: ({ signal }) => getJson<RecurringRun>(`${v2}/recurringruns/${encodeURIComponent(id)}`, undefined, signal),
  });

export const scheduleQuery = (id: string, count: number) =>
  queryOptions({
    queryKey: ["recurring_run", "schedule", id, count],
    queryFn: ({ signal }) =>
      getJson<Schedule>(`${own}/recurringruns/${encodeURIComponent(id)}:schedule`, { count }, signal),
  });

/** When a trigger would fire; refused with the reason when it is none. */
export const previewQuery = (trigger: Trigger, count: number) =>
  queryOptions({
    queryKey: ["schedule preview", trigger, count],
    queryFn: () => sendJson<Schedule>("POST", `${own}/recurringruns:previewSchedule?count=${count}`, { trigger }),
    retry: false,
  });

export const createRecurringRun = (run: object) => sendJson<RecurringRun>("POST", `${v2}/recurringruns`, run);

export const switchRecurringRun = (id: string, on: boolean) =>
  sendJson("POST", `${v2}/recurringruns/${encodeURIComponent(id)}:${on ? "enable" : "disable"}`);

export const deleteRecurringRun = (id: string) =>
  send(`${v2}/recurringruns/${encodeURIComponent(id)}`, { method: "DELETE" });

/** A trigger in a few words: its cron expression, or its interval. */
export function triggerText(trigger: Trigger | undefined): string {
  const seconds = Number(trigger?.periodic_schedule?.interval_second ?? 0);
  if (trigger?.cron_schedule?.cron) return trigger.cron_schedule.cron;
  const units: [number, string][] = [
    [86400, "d"],
    [3600, "h"],
    [60, "min"],
  ];
  const [size, unit] = units.find(([size]) => seconds > 0 && seconds % size === 0) ?? [1, "s"];
  return seconds > 0 ? `${seconds / size} ${unit}` : "—";
}
