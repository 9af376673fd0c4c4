import type { Json } from "../api/types";

/** How long, to the precision that matters: 7 ms, 1.2 s, 3 min 4 s, 2 h 5 min. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** From begin to end, or to now while it goes on; undefined when it has not begun. */
export function elapsed(begin: string | undefined, end: string | undefined, now = Date.now()): number | undefined {
  if (begin === undefined) return undefined;
  return (end === undefined ? now : Date.parse(end)) - Date.parse(begin);
}

/** 1536 → "1.5 KiB". */
export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let value = count;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

/** A parameter's value as one line of text: strings as they are, the rest as JSON. */
export function valueText(value: Json | undefined): string {
  if (value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}
