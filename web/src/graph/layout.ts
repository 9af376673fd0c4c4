// Layered drawing of a directed acyclic graph, top to bottom. The phases are the usual ones (Sugiyama, Tagawa, Toda
// 1981): layers by longest path, long edges cut by dummy nodes, fewer crossings by barycenter sweeps, and positions that
// lie near their neighbours'. Each phase is near linear in the edges, because a run may have thousands of tasks and is
// laid out again as it grows; the layout libraries of npm take minutes there.

export interface Box {
  id: string;
  width: number;
  height: number;
}

export interface Placed extends Box {
  /** Of the upper left corner. */
  x: number;
  y: number;
}

export interface Route {
  from: string;
  to: string;
  /** From the bottom of one to the top of the other, with a point in each layer between. */
  points: { x: number; y: number }[];
}

export interface Layout {
  width: number;
  height: number;
  nodes: Placed[];
  routes: Route[];
}

export interface Spacing {
  /** Between nodes of one layer. */
  across: number;
  /** Between layers. */
  down: number;
}

interface Cell {
  width: number;
  height: number;
  layer: number;
  /** Where it stands in its layer. */
  order: number;
  /** Of its middle. */
  x: number;
  up: number[];
  downs: number[];
}

const dummyWidth = 12;
const sweeps = 8;

export function layout(boxes: Box[], edges: { from: string; to: string }[], spacing: Spacing): Layout {
  const index = new Map(boxes.map((box, at) => [box.id, at]));
  const cells: Cell[] = boxes.map(({ width, height }) => cell(width, height));
  const pairs = edges.flatMap(({ from, to }) => {
    const a = index.get(from);
    const b = index.get(to);
    return a === undefined || b === undefined || a === b ? [] : [[a, b] as const];
  });
  assignLayers(cells, pairs);
  const chains = cutLongEdges(cells, pairs);
  const layers = layersOf(cells);
  reduceCrossings(cells, layers);
  assignPositions(cells, layers, spacing.across);
  return place(boxes, cells, layers, edgesOf(pairs, chains), spacing);
}

function cell(width: number, height: number, layer = 0): Cell {
  return { width, height, layer, order: 0, x: 0, up: [], downs: [] };
}

/** Each node one below the lowest that it follows. What closes a circle (no compiled pipeline has one) is left out. */
function assignLayers(cells: Cell[], pairs: (readonly [number, number])[]): void {
  const followers: number[][] = cells.map(() => []);
  const waits = cells.map(() => 0);
  for (const [from, to] of pairs) {
    followers[from]?.push(to);
    waits[to] = (waits[to] ?? 0) + 1;
  }
  const ready = cells.flatMap((_, at) => (waits[at] === 0 ? [at] : []));
  for (let next = ready.pop(); next !== undefined; next = ready.pop()) {
    const below = (cells[next] as Cell).layer + 1;
    for (const to of followers[next] ?? []) {
      const follower = cells[to] as Cell;
      follower.layer = Math.max(follower.layer, below);
      waits[to] = (waits[to] ?? 0) - 1;
      if (waits[to] === 0) ready.push(to);
    }
  }
}

/** Links neighbours of neighbouring layers; returns for each edge the dummy nodes that it goes through. */
function cutLongEdges(cells: Cell[], pairs: (readonly [number, number])[]): number[][] {
  return pairs.map(([from, to]) => {
    const chain: number[] = [];
    let at = from;
    const last = (cells[to] as Cell).layer;
    for (let layer = (cells[from] as Cell).layer + 1; layer < last; layer++) {
      const dummy = cells.push(cell(dummyWidth, 0, layer)) - 1;
      link(cells, at, dummy);
      chain.push(dummy);
      at = dummy;
    }
    if ((cells[at] as Cell).layer < last) link(cells, at, to);
    return chain;
  });
}

function link(cells: Cell[], from: number, to: number): void {
  (cells[from] as Cell).downs.push(to);
  (cells[to] as Cell).up.push(from);
}

function layersOf(cells: Cell[]): number[][] {
  const deepest = cells.reduce((most, { layer }) => Math.max(most, layer), -1);
  const layers: number[][] = Array.from({ length: deepest + 1 }, () => []);
  cells.forEach((one, at) => {
    const layer = layers[one.layer] as number[];
    one.order = layer.length;
    layer.push(at);
  });
  return layers;
}

function reduceCrossings(cells: Cell[], layers: number[][]): void {
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const down = sweep % 2 === 0;
    const ordered = down ? layers : [...layers].reverse();
    for (const layer of ordered) {
      const wish = new Map(
        layer.map((at) => {
          const { up, downs, order } = cells[at] as Cell;
          const neighbours = down ? up : downs;
          if (neighbours.length === 0) return [at, order];
          return [at, neighbours.reduce((sum, other) => sum + (cells[other] as Cell).order, 0) / neighbours.length];
        }),
      );
      layer.sort(
        (a, b) => (wish.get(a) ?? 0) - (wish.get(b) ?? 0) || (cells[a] as Cell).order - (cells[b] as Cell).order,
      );
      layer.forEach((at, order) => {
        (cells[at] as Cell).order = order;
      });
    }
  }
}

/** Sweeps in which each layer is put as near as can be to its neighbours' middles, in its order and without overlap. */
function assignPositions(cells: Cell[], layers: number[][], across: number): void {
  for (const layer of layers)
    pack(
      cells,
      layer,
      layer.map(() => 0),
      across,
    );
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const down = sweep % 2 === 0;
    const ordered = down ? layers : [...layers].reverse();
    for (const layer of ordered) {
      const wishes = layer.map((at) => {
        const { up, downs, x } = cells[at] as Cell;
        const neighbours = down ? up : downs;
        if (neighbours.length === 0) return x;
        return neighbours.reduce((sum, other) => sum + (cells[other] as Cell).x, 0) / neighbours.length;
      });
      pack(cells, layer, wishes, across);
    }
  }
}

/**
 * The positions with the least squared distance to the wishes that keep order and gaps: pool adjacent violators, over the
 * wishes less each one's offset from the first of its layer.
 */
function pack(cells: Cell[], layer: number[], wishes: number[], across: number): void {
  const offsets: number[] = [];
  let offset = 0;
  layer.forEach((at, order) => {
    const { width } = cells[at] as Cell;
    if (order > 0) offset += ((cells[layer[order - 1] as number] as Cell).width + width) / 2 + across;
    offsets.push(offset);
  });
  const blocks: { sum: number; count: number }[] = [];
  wishes.forEach((wish, order) => {
    let block = { sum: wish - (offsets[order] as number), count: 1 };
    for (let previous = blocks.at(-1); previous; previous = blocks.at(-1)) {
      if (previous.sum / previous.count < block.sum / block.count) break;
      block = { sum: previous.sum + block.sum, count: previous.count + block.count };
      blocks.pop();
    }
    blocks.push(block);
  });
  let order = 0;
  for (const { sum, count } of blocks)
    for (let of = 0; of < count; of++, order++)
      (cells[layer[order] as number] as Cell).x = sum / count + (offsets[order] as number);
}

function edgesOf(pairs: (readonly [number, number])[], chains: number[][]): number[][] {
  return pairs.map(([from, to], at) => [from, ...(chains[at] as number[]), to]);
}

function place(boxes: Box[], cells: Cell[], layers: number[][], paths: number[][], spacing: Spacing): Layout {
  const tops: number[] = [];
  const heights: number[] = [];
  let y = 0;
  for (const layer of layers) {
    const height = layer.reduce((most, at) => Math.max(most, (cells[at] as Cell).height), 0);
    tops.push(y);
    heights.push(height);
    y += height + spacing.down;
  }
  const left = cells.reduce((least, { x, width }) => Math.min(least, x - width / 2), Number.POSITIVE_INFINITY);
  const right = cells.reduce((most, { x, width }) => Math.max(most, x + width / 2), Number.NEGATIVE_INFINITY);
  const topOf = ({ layer, height }: Cell) => (tops[layer] as number) + ((heights[layer] as number) - height) / 2;
  const nodes = boxes.map((box, at) => {
    const one = cells[at] as Cell;
    return { ...box, x: one.x - one.width / 2 - left, y: topOf(one) };
  });
  const routes = paths.map((path) => {
    const points = path.map((at, step) => {
      const one = cells[at] as Cell;
      const top = topOf(one);
      return { x: one.x - left, y: step === 0 ? top + one.height : top };
    });
    return { from: boxes[path[0] as number]?.id ?? "", to: boxes[path.at(-1) as number]?.id ?? "", points };
  });
  return {
    width: boxes.length === 0 ? 0 : right - left,
    height: boxes.length === 0 ? 0 : y - spacing.down,
    nodes,
    routes,
  };
}
