import {
  Ban,
  CircleCheck,
  CircleDashed,
  CircleX,
  Clock,
  Database,
  LoaderCircle,
  type LucideIcon,
  Pause,
} from "lucide-react";
import type { TaskState } from "../api/types";
import { type MessageKey, useTranslator } from "../i18n";

export type StateLook = "succeeded" | "failed" | "running" | "pending" | "skipped" | "cached";

const looks: Record<TaskState, { look: StateLook; icon: LucideIcon; label: MessageKey }> = {
  RUNTIME_STATE_UNSPECIFIED: { look: "pending", icon: CircleDashed, label: "state.unknown" },
  PENDING: { look: "pending", icon: Clock, label: "state.pending" },
  RUNNING: { look: "running", icon: LoaderCircle, label: "state.running" },
  SUCCEEDED: { look: "succeeded", icon: CircleCheck, label: "state.succeeded" },
  SKIPPED: { look: "skipped", icon: CircleDashed, label: "state.skipped" },
  FAILED: { look: "failed", icon: CircleX, label: "state.failed" },
  CANCELING: { look: "pending", icon: LoaderCircle, label: "state.canceling" },
  CANCELED: { look: "skipped", icon: Ban, label: "state.canceled" },
  PAUSED: { look: "pending", icon: Pause, label: "state.paused" },
  CACHED: { look: "cached", icon: Database, label: "state.cached" },
};

export const stateLook = (state: TaskState | undefined): StateLook =>
  state === undefined ? "skipped" : looks[state].look;

export function StateIcon({ state, size = 14 }: { state: TaskState | undefined; size?: number }) {
  const { icon: Icon } = looks[state ?? "RUNTIME_STATE_UNSPECIFIED"];
  return <Icon size={size} aria-hidden className={state === "RUNNING" || state === "CANCELING" ? "spin" : undefined} />;
}

/** A state by its icon, colour and name: never by colour alone. */
export function StateBadge({ state }: { state: TaskState | undefined }) {
  const { t } = useTranslator();
  const { look, label } = looks[state ?? "RUNTIME_STATE_UNSPECIFIED"];
  return (
    <span className={`badge state-${look}`}>
      <StateIcon state={state} />
      {t(label)}
    </span>
  );
}

export const stateLabel = (state: TaskState | undefined): MessageKey =>
  looks[state ?? "RUNTIME_STATE_UNSPECIFIED"].label;

/** No change of state will follow. */
export const isFinal = (state: TaskState | undefined): boolean =>
  state !== undefined && ["SUCCEEDED", "FAILED", "SKIPPED", "CANCELED", "CACHED"].includes(state);
