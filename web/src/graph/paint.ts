import type { StateLook } from "../ui/StateBadge";
import { stateLook } from "../ui/StateBadge";
import type { Scene, SceneNode } from "./scene";

// The canvas under the nodes: edges always, and the nodes themselves when they are too small to read.

export interface View {
  x: number;
  y: number;
  /** Pixels a unit of the scene. */
  scale: number;
}

export interface Palette {
  edge: string;
  critical: string;
  surface: string;
  border: string;
  accent: string;
  states: Record<StateLook, string>;
}

const stateLooks: StateLook[] = ["succeeded", "failed", "running", "pending", "skipped", "cached"];

/** The theme's colours as a canvas takes them. */
export function readPalette(inside: HTMLElement): Palette {
  const probe = document.createElement("span");
  inside.append(probe);
  const read = (name: string) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const palette: Palette = {
    edge: read("strong-border"),
    critical: read("pending"),
    surface: read("surface"),
    border: read("border"),
    accent: read("accent"),
    states: Object.fromEntries(stateLooks.map((look) => [look, read(look)])) as Record<StateLook, string>,
  };
  probe.remove();
  return palette;
}

/** Below this scale nodes are painted as plain boxes; from it on they are elements with text. */
export const readableScale = 0.42;

export interface Painting {
  scene: Scene;
  view: View;
  width: number;
  height: number;
  palette: Palette;
  /** The ids of nodes on the critical path, when it is shown. */
  critical?: ReadonlySet<string>;
  matches?: ReadonlySet<string>;
  selected?: string;
}

export function inView(
  node: { x: number; y: number; width: number; height: number },
  view: View,
  width: number,
  height: number,
): boolean {
  const left = node.x * view.scale + view.x;
  const top = node.y * view.scale + view.y;
  return left < width && top < height && left + node.width * view.scale > 0 && top + node.height * view.scale > 0;
}

export function paint(
  canvas: HTMLCanvasElement,
  { scene, view, width, height, palette, critical, matches, selected }: Painting,
): void {
  const ratio = window.devicePixelRatio;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  if (!context) return;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.setTransform(view.scale * ratio, 0, 0, view.scale * ratio, view.x * ratio, view.y * ratio);
  if (view.scale < readableScale) {
    for (const node of scene.nodes)
      if (inView(node, view, width, height))
        paintNode(context, node, palette, view.scale, node.id === selected, matches?.has(node.id) ?? false);
  } else {
    for (const node of scene.nodes)
      if (node.open && inView(node, view, width, height)) paintGroup(context, node, palette);
  }
  context.lineJoin = "round";
  for (const isCritical of [false, true]) {
    context.beginPath();
    for (const { from, to, points } of scene.routes) {
      const marked = (critical?.has(from) && critical.has(to)) ?? false;
      if (marked === isCritical && routeInView(points, view, width, height)) trace(context, points);
    }
    context.strokeStyle = isCritical ? palette.critical : palette.edge;
    context.lineWidth = (isCritical ? 3 : 1.2) / Math.min(1, Math.max(view.scale, 0.35));
    context.stroke();
  }
  if (view.scale >= readableScale) {
    context.fillStyle = palette.edge;
    for (const { points } of scene.routes) if (routeInView(points, view, width, height)) arrow(context, points);
  }
}

function paintNode(
  context: CanvasRenderingContext2D,
  node: SceneNode,
  palette: Palette,
  scale: number,
  selected: boolean,
  matched: boolean,
): void {
  if (node.open) {
    paintGroup(context, node, palette);
    return;
  }
  context.fillStyle = palette.states[stateLook(node.node.state)];
  context.globalAlpha = node.node.task === undefined ? 0.35 : 1;
  context.fillRect(node.x, node.y, node.width, node.height);
  context.globalAlpha = 1;
  if (selected || matched) {
    context.strokeStyle = palette.accent;
    context.lineWidth = 3 / scale;
    context.strokeRect(node.x, node.y, node.width, node.height);
  }
}

function paintGroup(context: CanvasRenderingContext2D, node: SceneNode, palette: Palette): void {
  context.beginPath();
  context.roundRect(node.x, node.y, node.width, node.height, 10);
  context.fillStyle = palette.surface;
  context.globalAlpha = 0.55;
  context.fill();
  context.globalAlpha = 1;
  context.strokeStyle = palette.states[stateLook(node.node.state)];
  context.lineWidth = 1.5;
  context.stroke();
}

function routeInView(points: { x: number; y: number }[], view: View, width: number, height: number): boolean {
  let [left, right, top, bottom] = [
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ];
  for (const { x, y } of points) {
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  return inView({ x: left, y: top, width: right - left, height: bottom - top + 1 }, view, width, height);
}

function trace(context: CanvasRenderingContext2D, points: { x: number; y: number }[]): void {
  const [first, ...rest] = points;
  if (!first) return;
  context.moveTo(first.x, first.y);
  let from = first;
  for (const to of rest) {
    const middle = (from.y + to.y) / 2;
    context.bezierCurveTo(from.x, middle, to.x, middle, to.x, to.y);
    from = to;
  }
}

function arrow(context: CanvasRenderingContext2D, points: { x: number; y: number }[]): void {
  const tip = points.at(-1);
  if (!tip) return;
  context.beginPath();
  context.moveTo(tip.x, tip.y);
  context.lineTo(tip.x - 4, tip.y - 7);
  context.lineTo(tip.x + 4, tip.y - 7);
  context.fill();
}
