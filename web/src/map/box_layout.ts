// The layout of the nodes directly inside of one box: strips of nodes, placed by dagre, and the edges between
// them. Everything is computed as if the tensors flowed downwards; `layout.ts` turns it if they flow to the right.
import { Graph as Dagre, layout as place } from "@dagrejs/dagre";
import { alongRow, hang, heightInRow, leadsNowhere } from "./hanging";
import type { Size } from "./sizes";
import {
  arrival,
  stripLayout,
  type Item,
  type Point,
  type Route,
  type Strip,
  type Wire,
} from "./strip_layout";
import { stripsOf } from "./strips";

export interface BoxLayout extends Size {
  /** The upper left corners of the nodes. */
  places: Map<number, Point>;
  routes: Map<Wire, Route>;
}

export interface PlacedStrip {
  name: string;
  strip: Strip;
  /** Connections that leave from or arrive in the middle of the strip run on its right. */
  lanes: Wire[];
  /** Nothing follows it: it hangs down on the left of everything, so that it moves nothing below it away. */
  isHanging: boolean;
  left: number;
  top: number;
}

interface Band {
  top: number;
  bottom: number;
}

/** The places of nodes in their ranks, by name. Sizes do not change them, so they are searched once for a box. */
export type Order = Map<string, number>;

export const SIDE_GAP = 26;
const RANK_GAP = 30;
export const LANE = 12;
const TAP = 5;
/**
 * Dagre gives an edge a node of its own in every rank that it passes. With more of these it takes many seconds, so
 * such a box is one strip in order of execution, as of a recurrent cell that is called for each token.
 */
const MOST_RANKS_PASSED = 2000;

/**
 * Places nodes; `entries` and `exits` are the ids of those that stand for the border of the box, `order` keeps
 * what was found for the same box.
 */
export function layoutBox(
  items: readonly Item[],
  wires: readonly Wire[],
  entries: ReadonlySet<number>,
  exits: ReadonlySet<number>,
  order: Order,
): BoxLayout {
  const byId = new Map(items.map((item) => [item.id, item]));
  const ids = items.map((item) => item.id);
  const found = stripsOf(ids, wires);
  const strips = (ranksPassed(found, wires) > MOST_RANKS_PASSED ? [ids] : found).map((ids, at): PlacedStrip => {
    const own = ids.map((id) => byId.get(id)).filter((item) => item !== undefined);
    return { name: String(at), strip: stripLayout(own, wires), lanes: [], isHanging: false, left: 0, top: 0 };
  });
  const stripWith = new Map(
    strips.flatMap((one) => one.strip.items.map(({ item }) => [item.id, one] as const)),
  );
  const links = wires.filter((wire) => stripWith.get(wire.source) !== stripWith.get(wire.target));
  for (const wire of links) {
    for (const [id, end] of [
      [wire.source, -1],
      [wire.target, 0],
    ] as const) {
      const one = stripWith.get(id);
      if (one && one.strip.items.at(end)?.item.id !== id) one.lanes.push(wire);
    }
  }
  for (const one of strips.slice(0, -1)) one.isHanging = leadsNowhere(one, links, stripWith, exits);
  const graph = strips.length > 1 ? placeStrips(strips, stripWith, links, entries, exits, order) : null;
  const bands = bandsOf(strips);
  const routes = new Map<Wire, Route>();
  for (const { strip, left, top } of strips) {
    for (const [wire, route] of strip.routes) routes.set(wire, moved(route, left, top));
  }
  links.forEach((wire, at) => routes.set(wire, between(wire, at, stripWith, graph, bands)));
  return framed(strips, routes, exits);
}

/** Estimates how many ranks all edges between strips pass; strips stand in order of execution. */
function ranksPassed(strips: readonly number[][], wires: readonly Wire[]): number {
  const at = new Map(strips.flatMap((ids, number) => ids.map((id) => [id, number] as const)));
  return wires.reduce((sum, { source, target }) => sum + Math.abs((at.get(target) ?? 0) - (at.get(source) ?? 0)), 0);
}

/** Lets dagre place the strips, each as one node. */
function placeStrips(
  strips: readonly PlacedStrip[],
  stripWith: ReadonlyMap<number, PlacedStrip>,
  links: readonly Wire[],
  entries: ReadonlySet<number>,
  exits: ReadonlySet<number>,
  order: Order,
): Dagre {
  const graph = new Dagre({ multigraph: true });
  graph.setGraph({ ranksep: RANK_GAP, nodesep: SIDE_GAP, edgesep: 18, rankdir: "TB", rankalign: "top" });
  for (const one of strips)
    graph.setNode(one.name, { width: one.strip.width + one.lanes.length * LANE * 2, height: heightInRow(one) });
  links.forEach((wire, at) => {
    const isBelow = stripWith.get(wire.source)?.strip.tail?.wire === wire;
    const label =
      wire.label && !isBelow
        ? { width: wire.label.width, height: wire.label.height, labelpos: "c" as const }
        : {};
    const [v, w] = [stripWith.get(wire.source)?.name ?? "", stripWith.get(wire.target)?.name ?? ""];
    graph.setEdge({ v, w, name: String(at) }, { weight: wire.isSkip ? 1 : 4, ...label });
  });
  keepOrder(graph, strips, entries, exits);
  place(graph, { customOrder: (ranked, search) => orderOnce(ranked, () => search(ranked), order) });
  for (const one of strips) {
    const { x, y, width, height } = graph.node(one.name) as unknown as Point & Size;
    one.left = x - width / 2 + one.lanes.length * LANE;
    one.top = y - height / 2;
  }
  hang(graph, strips);
  return graph;
}

/** A node of a rank; of an edge that passes the rank, `edgeObj` is the edge. */
interface Ranked {
  rank?: number;
  order?: number;
  edgeObj?: { name?: string };
}

/** Orders the nodes in their ranks as before; otherwise searches an order, which takes most of the time of a layout. */
function orderOnce(ranked: Pick<Dagre, "nodes" | "node">, search: () => void, order: Order): void {
  const nodes = ranked.nodes().map((name) => {
    const node = ranked.node(name) as unknown as Ranked;
    return { node, key: node.edgeObj ? `edge ${node.edgeObj.name} ${node.rank}` : name };
  });
  if (nodes.length !== order.size || !nodes.every(({ key }) => order.has(key))) {
    search();
    order.clear();
    for (const { node, key } of nodes) order.set(key, node.order ?? 0);
  } else {
    for (const { node, key } of nodes) node.order = order.get(key);
  }
}

/**
 * Holds what comes in at the top and what goes out at the bottom, and what no tensor connects below what ran
 * before.
 */
function keepOrder(
  graph: Dagre,
  strips: readonly PlacedStrip[],
  entries: ReadonlySet<number>,
  exits: ReadonlySet<number>,
): void {
  const hidden = (v: string, w: string, weight: number) =>
    graph.setEdge({ v, w, name: `order ${v} ${w}` }, { weight, minlen: 1 });
  const withPort = (ports: ReadonlySet<number>, end: 0 | -1) =>
    new Set(
      strips.filter(({ strip }) => ports.has(strip.items.at(end)?.item.id ?? 0)).map(({ name }) => name),
    );
  const [inputs, outputs] = [withPort(entries, 0), withPort(exits, -1)];
  strips.forEach((one, at) => {
    if (graph.nodeEdges(one.name)?.length !== 0) return;
    const before = strips.slice(0, at).findLast(({ name }) => !outputs.has(name));
    if (before && !outputs.has(one.name)) hidden(before.name, one.name, 0);
  });
  const starts = graph.sources();
  const ends = graph.sinks();
  if (inputs.size > 0 && starts.length > 1) {
    graph.setNode("top", { width: 0, height: 0 });
    for (const name of starts) hidden("top", name, inputs.has(name) ? 50 : 0);
  }
  if (outputs.size > 0 && ends.length > 1) {
    graph.setNode("bottom", { width: 0, height: 0 });
    for (const name of ends) hidden(name, "bottom", outputs.has(name) ? 50 : 0);
  }
}

/** The path of a tensor from one strip to another. */
function between(
  wire: Wire,
  at: number,
  stripWith: ReadonlyMap<number, PlacedStrip>,
  graph: Dagre | null,
  bands: readonly Band[],
): Route {
  const [from, to] = [stripWith.get(wire.source), stripWith.get(wire.target)];
  const edge = graph?.edges().find((one) => one.name === String(at));
  const found = edge && (graph?.edge(edge) as unknown as { points: Point[]; x?: number; y?: number });
  const tail = from?.strip.tail?.wire === wire ? from.strip.tail : null;
  const onEdge =
    !tail && wire.label && found?.x !== undefined && found.y !== undefined
      ? { x: found.x, y: found.y }
      : null;
  const label = from && tail ? { x: from.left + tail.label.x, y: from.top + tail.label.y } : onEdge;
  const rows =
    onEdge && wire.label
      ? [...bands, { top: onEdge.y - wire.label.height / 2, bottom: onEdge.y + wire.label.height / 2 }]
      : bands;
  const below = bands.find((band) => from && Math.abs(band.top - from.top) < 1);
  const inner = (found?.points ?? []).slice(1, -1).flatMap((point) =>
    throughBand(
      point,
      rows.filter((band) => band !== below),
    ),
  );
  const start = from ? departure(from, wire) : [];
  const last = start.at(-1);
  // A curve begins where the row ends, or it could cut a taller strip beside this one.
  if (last && below && below.bottom > last.y) start.push({ x: last.x, y: below.bottom });
  const end = to ? landing(to, wire) : [];
  const way = to?.isHanging ? alongRow(to.top - TAP * 2, [...start, ...inner], end) : [...start, ...inner];
  return {
    points: [...way, ...end],
    label,
    isArc: false,
    isSideways: end.length > 1 && !isOpenIn(to, wire.target),
  };
}

function isOpenIn(one: PlacedStrip | undefined, id: number): boolean {
  return one?.strip.items.find(({ item }) => item.id === id)?.item.isOpen ?? false;
}

/** From the lower border of a node; from the middle of a strip along its right side. */
function departure({ strip, left, top, lanes }: PlacedStrip, wire: Wire): Point[] {
  const one = strip.items.find(({ item }) => item.id === wire.source);
  if (!one) return [];
  const start = { x: left + one.x + one.item.exit(wire.tensor), y: top + one.y + one.item.height };
  if (one === strip.items.at(-1))
    return strip.tail ? [start, { x: start.x, y: top + strip.height }] : [start];
  const x = left + strip.width + LANE * (0.5 + lanes.indexOf(wire));
  return [start, { x: start.x, y: start.y + TAP }, { x, y: start.y + TAP }, { x, y: top + strip.height }];
}

/** To the upper border of a node; into the middle of a strip along its right side. */
function landing({ strip, left, top, lanes }: PlacedStrip, wire: Wire): Point[] {
  const one = strip.items.find(({ item }) => item.id === wire.target);
  if (!one) return [];
  const target = { item: one.item, x: left + one.x, y: top + one.y };
  if (one === strip.items[0]) return [{ x: target.x + one.item.entry(wire.tensor), y: target.y }];
  const x = left + strip.width + LANE * (0.5 + lanes.indexOf(wire));
  return [{ x, y: top }, ...arrival(target, wire, x)];
}

/** Moves everything so that the picture starts at 0, 0; what goes out is led down to its lower border. */
function framed(
  strips: readonly PlacedStrip[],
  routes: Map<Wire, Route>,
  exits: ReadonlySet<number>,
): BoxLayout {
  const xs = strips.flatMap(({ left, strip, lanes }) => [left, left + strip.width + lanes.length * LANE]);
  const ys = strips.flatMap(({ top, strip }) => [top, top + strip.height]);
  for (const [wire, { points, label }] of routes) {
    xs.push(...points.map((point) => point.x));
    if (label && wire.label) xs.push(label.x - wire.label.width / 2, label.x + wire.label.width / 2);
  }
  const [left, top] = xs.length > 0 ? [Math.min(...xs), Math.min(...ys)] : [0, 0];
  const [width, height] = xs.length > 0 ? [Math.max(...xs) - left, Math.max(...ys) - top] : [0, 0];
  const places = new Map<number, Point>();
  for (const one of strips) {
    for (const { item, x, y } of one.strip.items)
      places.set(item.id, { x: one.left + x - left, y: one.top + y - top });
  }
  const shifted = new Map([...routes].map(([wire, route]) => [wire, moved(route, -left, -top)] as const));
  for (const [wire, route] of shifted) {
    const last = route.points.at(-1);
    if (exits.has(wire.target) && last)
      route.points = [...route.points.slice(0, -1), last, { x: last.x, y: height }];
  }
  return { width, height, places, routes: shifted };
}

function moved(route: Route, x: number, y: number): Route {
  const move = (point: Point): Point => ({ x: point.x + x, y: point.y + y });
  return { ...route, points: route.points.map(move), label: route.label && move(route.label) };
}

function bandsOf(strips: readonly PlacedStrip[]): Band[] {
  const bands: Band[] = [];
  for (const one of strips) {
    const band = bands.find((known) => Math.abs(known.top - one.top) < 1);
    const bottom = one.top + heightInRow(one);
    if (band) band.bottom = Math.max(band.bottom, bottom);
    else bands.push({ top: one.top, bottom });
  }
  return bands;
}

/**
 * An edge passes a row straight down, so that it cannot cut the corner of a tall node, and needs no bend
 * elsewhere.
 */
function throughBand(point: Point, bands: readonly Band[]): Point[] {
  const band = bands.find((one) => one.top - 1 < point.y && point.y < one.bottom + 1);
  return band
    ? [
        { x: point.x, y: band.top },
        { x: point.x, y: band.bottom },
      ]
    : [];
}
