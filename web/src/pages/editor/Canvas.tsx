import { Maximize, Minus, Plus } from "lucide-react";
import { type PointerEvent, useEffect, useMemo, useRef, useState } from "react";
import type { PipelineSpec } from "../../graph/spec";
import { useTranslator } from "../../i18n";
import { IconButton } from "../../ui/Button";
import type { Problem } from "./edit";
import { fits, type Port } from "./ports";
import { type EditorNode, editorScene, nodeId, portAt } from "./scene";

interface Props {
  spec: PipelineSpec;
  selected?: string;
  problems: Problem[];
  onSelect(node: EditorNode | undefined): void;
  onConnect(from: EditorNode, output: Port, to: EditorNode, input: Port): void;
}

interface Drag {
  node: EditorNode;
  port: Port;
  x: number;
  y: number;
}

/** The drawing: ports are connected by dragging from an output to an input that it fits into. */
export function Canvas({ spec, selected, problems, onSelect, onConnect }: Props) {
  const { t } = useTranslator();
  const scene = useMemo(() => editorScene(spec), [spec]);
  const frame = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ x: 40, y: 40, scale: 1 });
  const [drag, setDrag] = useState<Drag>();
  const pan = useRef<{ x: number; y: number; moved: boolean } | undefined>(undefined);
  const missing = useMemo(() => new Set(problems.map(({ scope, task }) => nodeId(scope, task))), [problems]);

  function fit() {
    const element = frame.current;
    if (!element) return;
    const scale = Math.min(
      1,
      (element.clientWidth - 80) / (scene.width || 1),
      (element.clientHeight - 80) / (scene.height || 1),
    );
    setView({
      scale,
      x: (element.clientWidth - scene.width * scale) / 2,
      y: (element.clientHeight - scene.height * scale) / 2,
    });
  }
  // biome-ignore lint/correctness/useExhaustiveDependencies: a pipeline that is opened is fitted; one that is drawn stays where it is
  useEffect(fit, [spec.pipelineInfo?.name]);
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const onWheel = (event: WheelEvent) => {
      event.preventDefault();
      const bounds = element.getBoundingClientRect();
      const [x, y] = [event.clientX - bounds.left, event.clientY - bounds.top];
      setView((now) => {
        const scale = Math.min(2, Math.max(0.1, now.scale * Math.exp(-event.deltaY * 0.0016)));
        const by = scale / now.scale;
        return { scale, x: x - (x - now.x) * by, y: y - (y - now.y) * by };
      });
    };
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => element.removeEventListener("wheel", onWheel);
  }, []);

  function inScene(event: PointerEvent): { x: number; y: number } {
    const bounds = frame.current?.getBoundingClientRect();
    return {
      x: (event.clientX - (bounds?.left ?? 0) - view.x) / view.scale,
      y: (event.clientY - (bounds?.top ?? 0) - view.y) / view.scale,
    };
  }
  function onPointerDown(event: PointerEvent) {
    if ((event.target as HTMLElement).closest("button, .graph-tools")) return;
    pan.current = { x: event.clientX, y: event.clientY, moved: false };
    event.currentTarget.setPointerCapture(event.pointerId);
  }
  function onPointerMove(event: PointerEvent) {
    if (drag) {
      setDrag({ ...drag, ...inScene(event) });
      return;
    }
    const from = pan.current;
    if (!from) return;
    const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
    if (!from.moved && Math.hypot(dx, dy) < 4) return;
    pan.current = { x: event.clientX, y: event.clientY, moved: true };
    setView((now) => ({ ...now, x: now.x + dx, y: now.y + dy }));
  }
  function onPointerUp(event: PointerEvent) {
    if (drag) {
      const target = document.elementFromPoint(event.clientX, event.clientY)?.closest<HTMLElement>("[data-input]");
      const node = scene.nodes.find(({ id }) => id === target?.dataset.node);
      const input = node?.inputs.find(({ name }) => name === target?.dataset.input);
      if (node && input && fits(drag.port, input)) onConnect(drag.node, drag.port, node, input);
      setDrag(undefined);
      return;
    }
    if (pan.current && !pan.current.moved) {
      const { x, y } = inScene(event);
      onSelect(
        scene.nodes.findLast(
          (node) => x >= node.x && x < node.x + node.width && y >= node.y && y < node.y + node.height,
        ),
      );
    }
    pan.current = undefined;
  }
  const curve = (from: { x: number; y: number }, to: { x: number; y: number }) => {
    const bend = Math.max(40, Math.abs(to.x - from.x) / 2);
    return `M${from.x},${from.y}C${from.x + bend},${from.y} ${to.x - bend},${to.y} ${to.x},${to.y}`;
  };
  return (
    <div
      className="graph"
      ref={frame}
      role="group"
      aria-label={t("editor.canvas")}
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onPointerUp={onPointerUp}
      onPointerCancel={() => {
        setDrag(undefined);
        pan.current = undefined;
      }}
    >
      <div className="graph-layer" style={{ transform: `translate(${view.x}px, ${view.y}px) scale(${view.scale})` }}>
        {scene.nodes
          .filter(({ group }) => group)
          .map((node) => (
            <div
              key={node.id}
              className={node.id === selected ? "editor-group selected" : "editor-group"}
              style={{ transform: `translate(${node.x}px, ${node.y}px)`, width: node.width, height: node.height }}
            >
              <button type="button" aria-pressed={node.id === selected} onClick={() => onSelect(node)}>
                <strong>{node.task.taskInfo?.name ?? node.name}</strong>{" "}
                <span className="muted">
                  {node.task.triggerPolicy?.condition ?? (node.task.parameterIterator ? t("node.loop") : "")}
                </span>
              </button>
            </div>
          ))}
        <svg className="editor-edges" width={1} height={1} aria-hidden>
          {scene.edges.map(({ id, from, to }) => (
            <path key={id} d={curve(from, to)} />
          ))}
          {drag && <path className="dragged" d={curve(portAt(drag.node, "out", drag.port.name), drag)} />}
        </svg>
        {scene.nodes
          .filter(({ group }) => !group)
          .map((node) => (
            <div
              key={node.id}
              className={["editor-node", node.id === selected && "selected", missing.has(node.id) && "missing"]
                .filter(Boolean)
                .join(" ")}
              style={{ transform: `translate(${node.x}px, ${node.y}px)`, width: node.width, height: node.height }}
            >
              <button
                type="button"
                className="editor-head ellipsis"
                aria-pressed={node.id === selected}
                title={node.name}
                onClick={() => onSelect(node)}
              >
                {node.task.taskInfo?.name ?? node.name}
              </button>
              <div className="editor-ports">
                <div>
                  {node.inputs.map((port) => (
                    <span
                      key={port.name}
                      className={[
                        "port in",
                        port.kind,
                        drag && drag.node !== node && (fits(drag.port, port) ? "fits" : "not"),
                      ]
                        .filter(Boolean)
                        .join(" ")}
                      data-node={node.id}
                      data-input={port.name}
                      title={`${port.name}: ${port.type}`}
                    >
                      {port.name}
                    </span>
                  ))}
                </div>
                <div>
                  {node.outputs.map((port) => (
                    <span
                      key={port.name}
                      className={`port out ${port.kind}`}
                      title={`${port.name}: ${port.type}`}
                      data-node={node.id}
                      data-output={port.name}
                      onPointerDown={(event) => {
                        event.stopPropagation();
                        event.preventDefault();
                        frame.current?.setPointerCapture(event.pointerId);
                        setDrag({ node, port, ...inScene(event) });
                      }}
                    >
                      {port.name}
                    </span>
                  ))}
                </div>
              </div>
            </div>
          ))}
      </div>
      <div className="graph-tools bottom">
        <IconButton
          label={t("graph.zoomIn")}
          onPress={() => setView((now) => ({ ...now, scale: Math.min(2, now.scale * 1.25) }))}
        >
          <Plus size={16} aria-hidden />
        </IconButton>
        <IconButton
          label={t("graph.zoomOut")}
          onPress={() => setView((now) => ({ ...now, scale: Math.max(0.1, now.scale / 1.25) }))}
        >
          <Minus size={16} aria-hidden />
        </IconButton>
        <IconButton label={t("graph.fit")} onPress={fit}>
          <Maximize size={16} aria-hidden />
        </IconButton>
      </div>
    </div>
  );
}
