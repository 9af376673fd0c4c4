import type { QueryClient } from "@tanstack/react-query";
import { own } from "./client";

/** One change as the event stream tells it. */
export interface Change {
  kind: string;
  id: string;
  state?: string;
  /** The run of a task, an artifact and a pod, the pipeline of a version. */
  parent?: string;
}

/** What a change makes stale: the first word of the queries' keys, and the id of the detail among them. */
function staleOf({ kind, id, parent }: Change): [string, string] {
  switch (kind) {
    case "task":
      return ["run", parent ?? id];
    case "version":
      return ["pipeline", parent ?? id];
    case "recurringrun":
      return ["recurring_run", id];
    default:
      return [kind, id];
  }
}

export type Connection = "connecting" | "open" | "lost";

/**
 * Holds the one event stream of the page and makes what it names stale, so that what is on screen is asked for again.
 * Changes are gathered for `gatherMs` first: a run of ten thousand tasks makes thousands of them a second.
 */
export class LiveUpdates {
  private source: EventSource | undefined;
  private gathered = new Map<string, Set<string>>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private listeners = new Set<() => void>();
  private wasLost = false;
  connection: Connection = "connecting";

  constructor(
    private readonly queries: QueryClient,
    private readonly gatherMs = 300,
  ) {}

  start(): void {
    const source = new EventSource(`${own}/stream`);
    this.source = source;
    source.addEventListener("open", () => {
      if (this.wasLost) void this.queries.invalidateQueries();
      this.wasLost = false;
      this.become("open");
    });
    source.addEventListener("error", () => {
      this.wasLost = true;
      this.become("lost");
      // A refusal (not a lost connection) ends the source for good: try again, seldom.
      if (source.readyState === EventSource.CLOSED) this.timer ??= setTimeout(() => this.restart(), 3000);
    });
    source.addEventListener("change", (event) => this.gather(JSON.parse((event as MessageEvent<string>).data)));
    source.addEventListener("reset", () => void this.queries.invalidateQueries());
  }

  stop(): void {
    this.source?.close();
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  private restart(): void {
    this.stop();
    this.start();
  }

  private become(connection: Connection): void {
    if (this.connection === connection) return;
    this.connection = connection;
    for (const listener of this.listeners) listener();
  }

  private gather(change: Change): void {
    const [kind, id] = staleOf(change);
    const ids = this.gathered.get(kind) ?? new Set();
    ids.add(id);
    this.gathered.set(kind, ids);
    this.timer ??= setTimeout(() => this.flush(), this.gatherMs);
  }

  private flush(): void {
    this.timer = undefined;
    for (const [kind, ids] of this.gathered) {
      void this.queries.invalidateQueries({
        predicate: ({ queryKey: [of, what, id] }) => of === kind && (what !== "detail" || ids.has(String(id))),
      });
    }
    void this.queries.invalidateQueries({ queryKey: ["overview"] });
    this.gathered.clear();
  }
}
