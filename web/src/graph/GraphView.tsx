import { Flame, Maximize, Minus, Plus, Route as RouteIcon } from "lucide-react";
import {
  type KeyboardEvent,
  memo,
  type PointerEvent,
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import type { Task } from "../api/types";
import { useTranslator } from "../i18n";
import { IconButton } from "../ui/Button";
import { SearchField } from "../ui/SearchField";
import "./graph.css";
import { criticalPath, firstFailure, TaskTree } from "./model";
import { NodeBox } from "./NodeBox";
import { inView, type Palette, paint, readableScale, readPalette, type View } from "./paint";
import { type Opened, reveal, type SceneNode, sceneOf } from "./scene";
import type { PipelineSpec } from "./spec";

interface Props {
  spec: PipelineSpec;
  /** The run's tasks; none for a pipeline that is only looked at. */
  tasks?: Task[];
  selected?: string;
  onSelect(node: SceneNode | undefined): void;
}

const smallest = 0.04;
const largest = 2;

/** A pipeline as a graph that is panned and zoomed, with its groups opened and closed in place. */
export const GraphView = memo(function GraphView({ spec, tasks, selected, onSelect }: Props) {
  const { t } = useTranslator();
  const tree = useMemo(() => (tasks ? new TaskTree(tasks) : undefined), [tasks]);
  const [opened, setOpened] = useState<Opened>(() => ({ groups: firstOpen(spec), iterations: new Map() }));
  const scene = useMemo(() => sceneOf(spec, tree, opened), [spec, tree, opened]);
  const frame = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [view, setView] = useState<View>();
  const [palette, setPalette] = useState<Palette>();
  const [showCritical, setShowCritical] = useState(false);
  const [search, setSearch] = useState("");
  const [focus, setFocus] = useState<string>();

  const fitAll = useCallback(() => {
    const scale = Math.min(
      1,
      Math.max(smallest, Math.min((size.width - 48) / (scene.width || 1), (size.height - 48) / (scene.height || 1))),
    );
    setView({
      scale,
      x: (size.width - scene.width * scale) / 2,
      y: Math.max(24, (size.height - scene.height * scale) / 2),
    });
  }, [scene, size]);

  useLayoutEffect(() => {
    const element = frame.current;
    if (!element) return;
    let before = { width: 0, height: 0 };
    const observer = new ResizeObserver(() => {
      const now = { width: element.clientWidth, height: element.clientHeight };
      const [dx, dy] = [(now.width - before.width) / 2, (now.height - before.height) / 2];
      // What is in the middle stays there when a panel opens beside it.
      if (before.width > 0) setView((shown) => shown && { ...shown, x: shown.x + dx, y: shown.y + dy });
      before = now;
      setSize(now);
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (!view && size.width > 0) fitAll();
  }, [view, size, fitAll]);
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const read = () => setPalette(readPalette(element));
    read();
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const theme = new MutationObserver(read);
    theme.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    scheme.addEventListener("change", read);
    return () => {
      theme.disconnect();
      scheme.removeEventListener("change", read);
    };
  }, []);

  const critical = useMemo(() => {
    if (!showCritical || !tree) return undefined;
    const ids = criticalPath(spec, tree);
    return new Set(scene.nodes.filter(({ node }) => node.task && ids.has(node.task.task_id)).map(({ id }) => id));
  }, [showCritical, spec, tree, scene]);
  const matches = useMemo(() => {
    const wanted = search.trim().toLowerCase();
    if (wanted === "") return undefined;
    return scene.nodes.filter(({ node }) => node.label.toLowerCase().includes(wanted)).map(({ id }) => id);
  }, [search, scene]);
  const matched = useMemo(() => new Set(matches), [matches]);

  useEffect(() => {
    if (!canvas.current || !palette || !view || size.width === 0) return;
    const target = canvas.current;
    const request = requestAnimationFrame(() =>
      paint(target, { scene, view, ...size, palette, critical, matches: matched, selected }),
    );
    return () => cancelAnimationFrame(request);
  }, [scene, view, size, palette, critical, matched, selected]);

  const centre = useCallback(
    (node: SceneNode | undefined, least = 0.7) => {
      if (!node) return;
      setView((now) => {
        const scale = Math.max(now?.scale ?? 1, least);
        return {
          scale,
          x: size.width / 2 - (node.x + node.width / 2) * scale,
          y: size.height / 2 - (node.y + Math.min(node.height, size.height / scale) / 2) * scale,
        };
      });
    },
    [size],
  );
  // What is to be looked at once the scene that has it is there.
  useEffect(() => {
    const node = focus === undefined ? undefined : scene.byId.get(focus);
    if (!node) return;
    setFocus(undefined);
    centre(node);
    onSelect(node);
  }, [focus, scene, centre, onSelect]);
  useEffect(() => {
    if (matches?.[0] !== undefined) centre(scene.byId.get(matches[0]), readableScale);
  }, [matches, scene, centre]);

  function zoom(factor: number, at = { x: size.width / 2, y: size.height / 2 }) {
    setView((now) => {
      if (!now) return now;
      const scale = Math.min(largest, Math.max(smallest, now.scale * factor));
      const by = scale / now.scale;
      return { scale, x: at.x - (at.x - now.x) * by, y: at.y - (at.y - now.y) * by };
    });
  }
  // React's own wheel listeners are passive: they can't keep the page from scrolling.
  const zoomRef = useRef(zoom);
  zoomRef.current = zoom;
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const onWheel = (event: WheelEvent) => {
      event.preventDefault();
      const bounds = element.getBoundingClientRect();
      if (event.ctrlKey || !event.shiftKey)
        zoomRef.current(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0016)), {
          x: event.clientX - bounds.left,
          y: event.clientY - bounds.top,
        });
      else setView((now) => now && { ...now, x: now.x - event.deltaY });
    };
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => element.removeEventListener("wheel", onWheel);
  }, []);

  const drag = useRef<{ x: number; y: number; moved: boolean } | undefined>(undefined);
  function onPointerDown(event: PointerEvent) {
    if ((event.target as HTMLElement).closest("button, select, input, .graph-tools")) return;
    drag.current = { x: event.clientX, y: event.clientY, moved: false };
    event.currentTarget.setPointerCapture(event.pointerId);
  }
  function onPointerMove(event: PointerEvent) {
    const from = drag.current;
    if (!from) return;
    const dx = event.clientX - from.x;
    const dy = event.clientY - from.y;
    if (!from.moved && Math.hypot(dx, dy) < 4) return;
    drag.current = { x: event.clientX, y: event.clientY, moved: true };
    setView((now) => now && { ...now, x: now.x + dx, y: now.y + dy });
  }
  function onPointerUp(event: PointerEvent) {
    const wasClick = drag.current && !drag.current.moved;
    drag.current = undefined;
    if (!wasClick || !view || !frame.current) return;
    const bounds = frame.current.getBoundingClientRect();
    const x = (event.clientX - bounds.left - view.x) / view.scale;
    const y = (event.clientY - bounds.top - view.y) / view.scale;
    const hit = scene.nodes.findLast(
      (node) => x >= node.x && x < node.x + node.width && y >= node.y && y < node.y + node.height,
    );
    onSelect(hit);
  }

  const toggle = useCallback((id: string) => {
    setOpened(({ groups, iterations }) => {
      const next = new Set(groups);
      if (!next.delete(id)) next.add(id);
      return { groups: next, iterations };
    });
  }, []);
  const show = useCallback((loop: string, iteration: number) => {
    setOpened(({ groups, iterations }) => ({ groups, iterations: new Map(iterations).set(loop, iteration) }));
  }, []);
  function goTo(task: Task) {
    if (!tree) return;
    const target = reveal(tree, task);
    setOpened(({ groups, iterations }) => ({
      groups: new Set([...groups, ...target.groups]),
      iterations: new Map([...iterations, ...target.iterations]),
    }));
    setFocus(target.id);
  }
  function onKeyDown(event: KeyboardEvent) {
    if ((event.target as HTMLElement).closest("input, select")) return;
    const step = 60;
    const moves: { [key: string]: [number, number] } = {
      ArrowLeft: [step, 0],
      ArrowRight: [-step, 0],
      ArrowUp: [0, step],
      ArrowDown: [0, -step],
    };
    const move = moves[event.key];
    if (move) {
      const next = selected === undefined ? undefined : neighbour(scene.nodes, selected, event.key);
      if (next) {
        onSelect(next);
        centre(next, readableScale);
      } else setView((now) => now && { ...now, x: now.x + move[0], y: now.y + move[1] });
    } else if (event.key === "+" || event.key === "=") zoom(1.25);
    else if (event.key === "-") zoom(0.8);
    else if (event.key === "0") fitAll();
    else return;
    event.preventDefault();
  }

  const failure = tree && firstFailure(tree);
  const readable = view !== undefined && view.scale >= readableScale;
  const visible = view && readable ? scene.nodes.filter((node) => inView(node, view, size.width, size.height)) : [];
  return (
    <div
      className="graph"
      ref={frame}
      role="group"
      aria-label={t("graph.label")}
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onPointerUp={onPointerUp}
      onKeyDown={onKeyDown}
    >
      <canvas ref={canvas} className="graph-canvas" aria-hidden style={{ width: size.width, height: size.height }} />
      {view && readable && (
        <div className="graph-layer" style={{ transform: `translate(${view.x}px, ${view.y}px) scale(${view.scale})` }}>
          {visible.map((node) => (
            <NodeBox
              key={node.id}
              node={node}
              selected={node.id === selected}
              matched={matched.has(node.id)}
              dimmed={search.trim() !== "" && !matched.has(node.id) && !node.open}
              critical={critical?.has(node.id) ?? false}
              onSelect={onSelect}
              onToggle={toggle}
              onIteration={show}
            />
          ))}
        </div>
      )}
      <div className="graph-tools top">
        <SearchField label={t("graph.search")} value={search} onChange={setSearch} />
        {matches && <span className="muted">{t("graph.matches", { count: matches.length })}</span>}
      </div>
      <div className="graph-tools bottom">
        {failure && (
          <IconButton label={t("graph.toFailure")} onPress={() => goTo(failure)}>
            <Flame size={16} aria-hidden />
          </IconButton>
        )}
        {tree && (
          <IconButton
            label={showCritical ? t("graph.hideCritical") : t("graph.showCritical")}
            look={showCritical ? "primary" : "quiet"}
            onPress={() => setShowCritical(!showCritical)}
          >
            <RouteIcon size={16} aria-hidden />
          </IconButton>
        )}
        <IconButton label={t("graph.zoomIn")} onPress={() => zoom(1.3)}>
          <Plus size={16} aria-hidden />
        </IconButton>
        <IconButton label={t("graph.zoomOut")} onPress={() => zoom(1 / 1.3)}>
          <Minus size={16} aria-hidden />
        </IconButton>
        <IconButton label={t("graph.fit")} onPress={fitAll}>
          <Maximize size={16} aria-hidden />
        </IconButton>
      </div>
    </div>
  );
});

/** Conditions and exit handlers are open from the start where there are few: what is in them is the pipeline's own course. */
function firstOpen(spec: PipelineSpec): ReadonlySet<string> {
  const open = new Set<string>();
  const visit = (tasks: { [name: string]: { componentRef?: { name?: string } } } | undefined, path: string) => {
    for (const [name, task] of Object.entries(tasks ?? {})) {
      const reference = task.componentRef?.name ?? "";
      if (!/^comp-(condition|exit-handler)-/.test(reference) || open.size > 20) continue;
      open.add(path + name);
      visit(spec.components?.[reference]?.dag?.tasks, `${path}${name}/`);
    }
  };
  visit(spec.root.dag?.tasks, "");
  return open;
}

/** The nearest node in the arrow's direction. */
function neighbour(nodes: SceneNode[], id: string, key: string): SceneNode | undefined {
  const from = nodes.find((node) => node.id === id);
  if (!from) return undefined;
  const vertical = key === "ArrowUp" || key === "ArrowDown";
  const sign = key === "ArrowDown" || key === "ArrowRight" ? 1 : -1;
  let best: SceneNode | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const node of nodes) {
    if (node === from || node.depth !== from.depth) continue;
    const dx = node.x + node.width / 2 - from.x - from.width / 2;
    const dy = node.y + node.height / 2 - from.y - from.height / 2;
    const along = (vertical ? dy : dx) * sign;
    const aside = Math.abs(vertical ? dx : dy);
    if (along <= 1) continue;
    const distance = along + 2 * aside;
    if (distance < least) {
      least = distance;
      best = node;
    }
  }
  return best;
}
