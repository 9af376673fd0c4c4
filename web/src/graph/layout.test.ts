import { describe, expect, test } from "vitest";
import { type Layout, layout } from "./layout";

const box = (id: string, width = 100, height = 40) => ({ id, width, height });
const spacing = { across: 20, down: 30 };

function overlaps({ nodes }: Layout): string[] {
  const found: string[] = [];
  const byRow = [...nodes].sort((a, b) => a.y - b.y || a.x - b.x);
  for (let at = 1; at < byRow.length; at++) {
    const [a, b] = [byRow[at - 1], byRow[at]];
    if (a && b && a.y === b.y && a.x + a.width > b.x + 1e-6) found.push(`${a.id} ${b.id}`);
  }
  return found;
}

describe("layout", () => {
  test("puts what follows below what it follows", () => {
    const { nodes } = layout(
      [box("a"), box("b"), box("c")],
      [
        { from: "a", to: "b" },
        { from: "a", to: "c" },
        { from: "b", to: "c" },
      ],
      spacing,
    );
    const y = Object.fromEntries(nodes.map((node) => [node.id, node.y]));
    expect([y.a, y.b, y.c]).toEqual([0, 70, 140]);
  });

  test("centres one node over its two followers", () => {
    const { nodes, width, height } = layout(
      [box("a"), box("b"), box("c")],
      [
        { from: "a", to: "b" },
        { from: "a", to: "c" },
      ],
      spacing,
    );
    expect(nodes.find((node) => node.id === "a")?.x).toBeCloseTo(60);
    expect([width, height]).toEqual([220, 110]);
  });

  test("routes an edge over a layer around the nodes there", () => {
    const { routes, nodes } = layout(
      [box("a"), box("b"), box("c")],
      [
        { from: "a", to: "b" },
        { from: "b", to: "c" },
        { from: "a", to: "c" },
      ],
      spacing,
    );
    const long = routes.find(({ from, to }) => from === "a" && to === "c");
    const middle = nodes.find((node) => node.id === "b");
    expect(long?.points).toHaveLength(3);
    const x = long?.points[1]?.x ?? 0;
    expect(x < (middle?.x ?? 0) || x > (middle?.x ?? 0) + 100).toBe(true);
  });

  test("crosses no edges where it can be avoided", () => {
    const { nodes } = layout(
      [box("a"), box("b"), box("x"), box("y")],
      [
        { from: "a", to: "y" },
        { from: "b", to: "x" },
      ],
      spacing,
    );
    const x = Object.fromEntries(nodes.map((node) => [node.id, node.x]));
    expect(Math.sign((x.a ?? 0) - (x.b ?? 0))).toBe(Math.sign((x.y ?? 0) - (x.x ?? 0)));
  });

  test("keeps nodes of any size apart, in a graph of random edges", () => {
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed % below;
    };
    const boxes = Array.from({ length: 300 }, (_, at) => box(`n${at}`, 60 + random(200), 30 + random(60)));
    const edges = Array.from({ length: 600 }, () => {
      const to = 1 + random(299);
      return { from: `n${random(to)}`, to: `n${to}` };
    });
    expect(overlaps(layout(boxes, edges, spacing))).toEqual([]);
  });

  test("survives edges that close a circle, and edges to nowhere", () => {
    const { nodes } = layout(
      [box("a"), box("b")],
      [
        { from: "a", to: "b" },
        { from: "b", to: "a" },
        { from: "a", to: "z" },
      ],
      spacing,
    );
    expect(nodes.every(({ x, y }) => Number.isFinite(x) && Number.isFinite(y))).toBe(true);
  });

  test("of nothing is nothing", () => {
    expect(layout([], [], spacing)).toEqual({ width: 0, height: 0, nodes: [], routes: [] });
  });
});
