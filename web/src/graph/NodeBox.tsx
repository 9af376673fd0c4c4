import {
  ChevronDown,
  ChevronRight,
  Download,
  GitBranch,
  Layers,
  type LucideIcon,
  Repeat,
  ShieldCheck,
  SquareTerminal,
} from "lucide-react";
import { memo } from "react";
import type { TaskState } from "../api/types";
import { type MessageKey, useTranslator } from "../i18n";
import { duration, elapsed } from "../ui/format";
import { StateIcon, stateLabel, stateLook } from "../ui/StateBadge";
import type { Counts, NodeKind } from "./model";
import type { SceneNode } from "./scene";

const kinds: Record<NodeKind, { icon: LucideIcon; label: MessageKey }> = {
  step: { icon: SquareTerminal, label: "node.step" },
  importer: { icon: Download, label: "node.importer" },
  dag: { icon: Layers, label: "node.dag" },
  loop: { icon: Repeat, label: "node.loop" },
  condition: { icon: GitBranch, label: "node.condition" },
  exit: { icon: ShieldCheck, label: "node.exit" },
};

interface Props {
  node: SceneNode;
  selected: boolean;
  matched: boolean;
  dimmed: boolean;
  critical: boolean;
  onSelect(node: SceneNode): void;
  onToggle(id: string): void;
  onIteration(loop: string, iteration: number): void;
}

/** One node as an element: a step's box, a closed group's with its counts, or the head of an open group. */
export const NodeBox = memo(function NodeBox(props: Props) {
  const { node: scene, selected, matched, dimmed, critical, onSelect, onToggle, onIteration } = props;
  const { t } = useTranslator();
  const { node, open } = scene;
  const { icon: Kind, label: kindLabel } = kinds[node.kind];
  const group = node.component.dag !== undefined;
  const took = elapsed(node.task?.start_time, node.task?.end_time);
  const look = stateLook(node.state);
  const classes = [
    "node",
    `look-${look}`,
    node.task === undefined && "absent",
    group && "group",
    open && "open",
    selected && "selected",
    matched && "matched",
    dimmed && "dimmed",
    critical && "critical",
    node.state === "SKIPPED" && "skipped",
    node.always && "always",
  ];
  return (
    <div
      className={classes.filter(Boolean).join(" ")}
      style={{
        transform: `translate(${scene.x}px, ${scene.y}px)`,
        width: scene.width,
        height: open ? undefined : scene.height,
      }}
      data-node={scene.id}
    >
      <button type="button" className="node-main" aria-pressed={selected} onClick={() => onSelect(scene)}>
        <span className={`node-state state-${look}`}>
          {node.state ? <StateIcon state={node.state} size={15} /> : <Kind size={15} aria-hidden />}
        </span>
        <span className="node-text">
          <span className="node-label ellipsis" title={node.label}>
            {node.label}
          </span>
          <span className="node-sub ellipsis">
            {t(node.always ? "node.always" : kindLabel)}
            {node.iterations && ` × ${node.iterations.length}`}
            {took !== undefined && ` · ${duration(took)}`}
            <span className="visually-hidden"> {node.state && t(stateLabel(node.state))}</span>
          </span>
          {group && !open && node.counts && <CountsBar counts={node.counts} />}
        </span>
      </button>
      {open && node.iterations && node.iterations.length > 0 && (
        <select
          className="node-iteration"
          aria-label={t("graph.iteration")}
          value={scene.iteration}
          onChange={(event) => onIteration(scene.id, Number(event.target.value))}
        >
          {node.iterations.slice(0, 2000).map((task) => {
            const index = Number(task.type_attributes?.iteration_index ?? 0);
            return (
              <option key={task.task_id} value={index}>
                {`${index} · ${t(stateLabel(task.state))}`}
              </option>
            );
          })}
        </select>
      )}
      {group && (
        <button
          type="button"
          className="node-toggle"
          aria-expanded={open}
          aria-label={open ? t("graph.close", { name: node.label }) : t("graph.open", { name: node.label })}
          onClick={() => onToggle(scene.id)}
        >
          {open ? <ChevronDown size={16} aria-hidden /> : <ChevronRight size={16} aria-hidden />}
        </button>
      )}
    </div>
  );
});

const barOrder: TaskState[] = ["SUCCEEDED", "CACHED", "RUNNING", "FAILED", "PENDING", "SKIPPED", "CANCELED"];

function CountsBar({ counts }: { counts: Counts }) {
  const { t } = useTranslator();
  const present = barOrder.filter((state) => counts[state]);
  if (present.length === 0) return null;
  const text = present.map((state) => `${counts[state]} ${t(stateLabel(state))}`).join(", ");
  return (
    <span className="node-counts" title={text}>
      {present.map((state) => (
        <span key={state} className={`look-${stateLook(state)}`} style={{ flexGrow: counts[state] }} />
      ))}
      <span className="visually-hidden">{text}</span>
    </span>
  );
}
