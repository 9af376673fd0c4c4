import { Box, CircleHelp, Database, type LucideIcon, Play, SquareTerminal } from "lucide-react";
import { useMemo } from "react";
import { Link } from "react-router";
import type { Lineage, LineageNode } from "../../api/artifacts";
import { layout } from "../../graph/layout";
import { useTranslator } from "../../i18n";
import { Empty } from "../../ui/Notice";
import { StateBadge } from "../../ui/StateBadge";
import "./lineage.css";

const size = { width: 200, height: 58 };
const icons: { [kind: string]: LucideIcon } = {
  artifact: Database,
  task: SquareTerminal,
  run: Play,
  model_version: Box,
};

/** Where artifacts come from and what came of them: artifacts and tasks from the first above to the last below. */
export function LineageGraph({ lineage }: { lineage: Lineage }) {
  const { t } = useTranslator();
  const drawn = useMemo(() => {
    // Runs are named in their tasks; as nodes of their own they would only make lines cross.
    const nodes = lineage.nodes.filter(({ kind }) => kind !== "run");
    const runs = new Map(lineage.nodes.flatMap(({ run }) => (run ? [[run.run_id, run] as const] : [])));
    const shown = new Map(nodes.map((node) => [node.id, node]));
    const placed = layout(
      nodes.map(({ id }) => ({ id, ...size })),
      lineage.edges,
      { across: 24, down: 46 },
    );
    return { placed, shown, runs };
  }, [lineage]);
  const start = new Set(lineage.start);
  if (drawn.placed.nodes.length === 0) return <Empty title={t("lineage.none")} />;
  return (
    <section className="lineage" aria-label={t("artifact.lineage")} tabIndex={0}>
      <div className="lineage-sheet" style={{ width: drawn.placed.width, height: drawn.placed.height }}>
        <svg width={drawn.placed.width} height={drawn.placed.height} aria-hidden>
          {drawn.placed.routes.map(({ from, to, points }) => (
            <path key={`${from} ${to}`} d={curve(points)} />
          ))}
        </svg>
        {drawn.placed.nodes.map(({ id, x, y }) => {
          const node = drawn.shown.get(id) as LineageNode;
          return (
            <div
              key={id}
              className={["lineage-node", node.kind, start.has(id) && "start"].filter(Boolean).join(" ")}
              style={{ left: x, top: y, width: size.width, height: size.height }}
            >
              <NodeText node={node} runName={drawn.runs.get(node.task?.run_id ?? "")?.display_name} />
            </div>
          );
        })}
      </div>
    </section>
  );
}

function NodeText({ node, runName }: { node: LineageNode; runName?: string }) {
  const { t } = useTranslator();
  const Icon = icons[node.kind] ?? CircleHelp;
  const { artifact, task } = node;
  if (artifact)
    return (
      <Link to={`/artifacts/${encodeURIComponent(artifact.artifact_id)}?tab=lineage`} className="lineage-link">
        <Icon size={16} aria-hidden />
        <span className="grow">
          <span className="ellipsis node-label">{artifact.name || artifact.artifact_id}</span>
          <span className="ellipsis node-sub">
            {artifact.type} · {artifact.artifact_id}
          </span>
        </span>
      </Link>
    );
  if (task && !node.deleted)
    return (
      <Link to={`/runs/${task.run_id}?task=${task.task_id}`} className="lineage-link">
        <Icon size={16} aria-hidden />
        <span className="grow">
          <span className="ellipsis node-label">{task.display_name ?? task.name}</span>
          <span className="ellipsis node-sub">{runName ?? task.run_id}</span>
        </span>
        <StateBadge state={task.state} />
      </Link>
    );
  const other = node[node.kind] as
    | { name?: string; registered_model?: string; registered_model_id?: string }
    | undefined;
  if (other?.name && !node.deleted) {
    const text = (
      <>
        <Icon size={16} aria-hidden />
        <span className="grow">
          <span className="ellipsis node-label">
            {other.registered_model} {other.name}
          </span>
          <span className="ellipsis node-sub">
            {t(node.kind === "model_version" ? "lineage.modelVersion" : "lineage.service")}
          </span>
        </span>
      </>
    );
    return other.registered_model_id ? (
      <Link to={`/models/${encodeURIComponent(other.registered_model_id)}`} className="lineage-link">
        {text}
      </Link>
    ) : (
      <span className="lineage-link">{text}</span>
    );
  }
  return (
    <span className="lineage-link">
      <Icon size={16} aria-hidden />
      <span className="muted">{node.deleted ? t("lineage.deleted") : node.kind}</span>
    </span>
  );
}

function curve(points: { x: number; y: number }[]): string {
  return points
    .map(({ x, y }, index) => {
      const from = points[index - 1];
      if (!from) return `M${x},${y}`;
      const middle = (from.y + y) / 2;
      return `C${from.x},${middle} ${x},${middle} ${x},${y}`;
    })
    .join("");
}
