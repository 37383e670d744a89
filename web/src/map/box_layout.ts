// The picture of what is directly inside of one box: strips of nodes, placed by dagre, and the edges between them.
// Everything is computed as if the tensors flowed downwards; `layout.ts` turns it where they flow to the right.
import { Graph as Dagre, layout as place } from "@dagrejs/dagre";
import type { Size } from "./sizes";
import { stripsOf } from "./strips";

export interface Point {
  x: number;
  y: number;
}

/** A node with its size, and where an edge of a tensor meets its border: x from its left edge. */
export interface Item extends Size {
  id: number;
  entry: (tensor: number) => number;
  exit: (tensor: number) => number;
}

export interface Wire {
  source: number;
  target: number;
  tensor: number;
  isSkip: boolean;
  label: Size | null;
}

export interface Route {
  points: Point[];
  /** The middle of the label. */
  label: Point | null;
}

export interface BoxLayout extends Size {
  /** The upper left corners of the nodes. */
  places: Map<number, Point>;
  routes: Map<Wire, Route>;
  /** x of the point on the upper border where a tensor comes in, and on the lower one where it goes out. */
  entries: Map<number, number>;
  exits: Map<number, number>;
}

interface Strip extends Size {
  name: string;
  /** x of the line through its nodes, from its left edge. */
  spine: number;
  items: { item: Item; x: number; y: number }[];
}

interface Band {
  middle: number;
  top: number;
  bottom: number;
}

const ABOVE_LABEL = 6;
const BELOW_LABEL = 12; // room for an arrowhead
const PLAIN_GAP = 24; // between two nodes without a label
const SIDE_GAP = 26;
const RANK_GAP = 28;

/** Places the nodes of the box with the id `box` and leads its wires around them. */
export function layoutBox(box: number | null, items: readonly Item[], wires: readonly Wire[]): BoxLayout {
  const graph = new Dagre({ multigraph: true });
  graph.setGraph({ ranksep: RANK_GAP, nodesep: SIDE_GAP, edgesep: 18, rankdir: "TB" });
  const byId = new Map(items.map((item) => [item.id, item]));
  const strips = stripsOf(items.map((item) => item.id), wires, box).map((ids, at) => stripOf(`s${at}`, ids, byId, wires));
  const stripWith = new Map(strips.flatMap((strip) => strip.items.map(({ item }) => [item.id, strip] as const)));
  for (const strip of strips) graph.setNode(strip.name, { width: strip.width, height: strip.height });
  const between = wires.filter((wire) => wire.source !== wire.target || wire.source === box);
  const links = between.filter((wire) => !isInside(wire, stripWith, box));
  for (const wire of links) {
    if (wire.source === box) graph.setNode(`in${wire.tensor}`, { width: 8, height: 0 });
    if (wire.target === box) graph.setNode(`out${wire.tensor}`, { width: 8, height: 0 });
  }
  const end = (id: number, tensor: number, port: string) => (id === box ? `${port}${tensor}` : (stripWith.get(id)?.name ?? ""));
  links.forEach((wire, at) => {
    const label = wire.label ? { width: wire.label.width, height: wire.label.height, labelpos: "c" as const } : {};
    const weight = wire.isSkip ? 1 : 4;
    graph.setEdge({ v: end(wire.source, wire.tensor, "in"), w: end(wire.target, wire.tensor, "out"), name: String(at) }, { weight, ...label });
  });
  keepOrder(graph, strips);
  place(graph);
  return placed(graph, box, strips, stripWith, wires, links);
}

function isInside(wire: Wire, stripWith: ReadonlyMap<number, Strip>, box: number | null): boolean {
  if (wire.source === box || wire.target === box) return false;
  const strip = stripWith.get(wire.source);
  if (!strip || strip !== stripWith.get(wire.target)) return false;
  const at = strip.items.findIndex(({ item }) => item.id === wire.source);
  return strip.items[at + 1]?.item.id === wire.target;
}

/** Stacks the nodes of a strip along a line through the points where the tensors come in. */
function stripOf(name: string, ids: readonly number[], byId: ReadonlyMap<number, Item>, wires: readonly Wire[]): Strip {
  const items: Strip["items"] = [];
  let y = 0;
  let before: number | null = null;
  for (const id of ids) {
    const item = byId.get(id);
    if (!item) continue;
    const wire = wires.find((one) => one.source === before && one.target === id);
    if (before !== null) y += wire?.label ? wire.label.height + ABOVE_LABEL + BELOW_LABEL : PLAIN_GAP;
    const tensor = (wire ?? wires.find((one) => one.target === id))?.tensor;
    items.push({ item, x: tensor === undefined ? item.width / 2 : item.entry(tensor), y });
    y += item.height;
    before = id;
  }
  const labels = wires.filter((wire) => wire.label && ids.includes(wire.source) && ids.includes(wire.target));
  const halves = labels.map((wire) => (wire.label?.width ?? 0) / 2);
  const spine = Math.max(...items.map(({ x }) => x), ...halves);
  const right = Math.max(...items.map(({ item, x }) => item.width - x), ...halves);
  for (const one of items) one.x = spine - one.x;
  return { name, width: spine + right, height: y, spine, items };
}

/** Holds inputs at the top and outputs at the bottom, and what no tensor connects below what ran before it. */
function keepOrder(graph: Dagre, strips: readonly Strip[]): void {
  const names = graph.nodes();
  const hidden = (v: string, w: string, weight: number) => graph.setEdge({ v, w, name: `order ${v} ${w}` }, { weight, minlen: 1 });
  strips.forEach((strip, at) => {
    const before = strips[at - 1];
    if (before && graph.nodeEdges(strip.name)?.length === 0) hidden(before.name, strip.name, 0);
  });
  const starts = graph.sources();
  const ends = graph.sinks();
  const inputs = names.filter((name) => name.startsWith("in"));
  const outputs = names.filter((name) => name.startsWith("out"));
  if (inputs.length > 0 && starts.length > 1) {
    graph.setNode("top", { width: 0, height: 0 });
    for (const name of starts) hidden("top", name, inputs.includes(name) ? 50 : 0);
  }
  if (outputs.length > 0 && ends.length > 1) {
    graph.setNode("bottom", { width: 0, height: 0 });
    for (const name of ends) hidden(name, "bottom", outputs.includes(name) ? 50 : 0);
  }
}

function placed(
  graph: Dagre, box: number | null, strips: readonly Strip[], stripWith: ReadonlyMap<number, Strip>,
  wires: readonly Wire[], links: readonly Wire[],
): BoxLayout {
  const center = (name: string): Point => graph.node(name) as unknown as Point;
  const shown = graph.nodes().filter((name) => name !== "top" && name !== "bottom");
  const places = new Map<number, Point>();
  for (const strip of strips) {
    const { x, y } = center(strip.name);
    for (const one of strip.items) places.set(one.item.id, { x: x - strip.width / 2 + one.x, y: y - strip.height / 2 + one.y });
  }
  const bands = bandsOf(shown.map((name) => ({ y: center(name).y, height: (graph.node(name) as unknown as Size).height })));
  const item = (id: number) => stripWith.get(id)?.items.find((one) => one.item.id === id)?.item;
  const leave = (wire: Wire): Point => {
    if (wire.source === box) return center(`in${wire.tensor}`);
    const [at, from] = [places.get(wire.source) ?? { x: 0, y: 0 }, item(wire.source)];
    return { x: at.x + (from?.exit(wire.tensor) ?? 0), y: at.y + (from?.height ?? 0) };
  };
  const arrive = (wire: Wire): Point => {
    if (wire.target === box) return center(`out${wire.tensor}`);
    const at = places.get(wire.target) ?? { x: 0, y: 0 };
    return { x: at.x + (item(wire.target)?.entry(wire.tensor) ?? 0), y: at.y };
  };
  const routes = new Map<Wire, Route>();
  for (const wire of wires) {
    if (wire.source === wire.target && wire.source !== box) continue;
    const [first, last] = [leave(wire), arrive(wire)];
    const at = links.indexOf(wire);
    if (at < 0) {
      const middle = (first.y + last.y + ABOVE_LABEL - BELOW_LABEL) / 2;
      routes.set(wire, { points: [first, last], label: wire.label && { x: first.x, y: middle } });
      continue;
    }
    const edge = graph.edges().find((one) => one.name === String(at));
    const found = edge && (graph.edge(edge) as unknown as { points: Point[]; x?: number; y?: number });
    const label = wire.label && found?.x !== undefined && found.y !== undefined ? { x: found.x, y: found.y } : null;
    const rows = label && wire.label ? [...bands, bandOf(label.y, wire.label.height)] : bands;
    const inner = (found?.points ?? []).slice(1, -1).flatMap((point) => throughBand(point, rows));
    routes.set(wire, { points: [first, ...inner, last], label });
  }
  return framed(places, routes, shown, center, graph);
}

/** Moves everything so that the picture starts at 0, 0, and finds its size. */
function framed(
  places: Map<number, Point>, routes: Map<Wire, Route>, shown: readonly string[],
  center: (name: string) => Point, graph: Dagre,
): BoxLayout {
  const xs: number[] = [];
  const ys: number[] = [];
  for (const name of shown) {
    const { width, height } = graph.node(name) as unknown as Size;
    xs.push(center(name).x - width / 2, center(name).x + width / 2);
    ys.push(center(name).y - height / 2, center(name).y + height / 2);
  }
  for (const [wire, { points, label }] of routes) {
    xs.push(...points.map((point) => point.x));
    if (label && wire.label) xs.push(label.x - wire.label.width / 2, label.x + wire.label.width / 2);
  }
  const start = xs.length > 0 ? Math.min(...xs) : 0;
  const top = ys.length > 0 ? Math.min(...ys) : 0;
  const move = (point: Point): Point => ({ x: point.x - start, y: point.y - top });
  const moved = new Map([...places].map(([id, point]) => [id, move(point)]));
  const movedRoutes = new Map(
    [...routes].map(([wire, { points, label }]) => [wire, { points: points.map(move), label: label && move(label) }] as const),
  );
  const port = (prefix: string) =>
    new Map(shown.filter((name) => name.startsWith(prefix)).map((name) => [Number(name.slice(prefix.length)), center(name).x - start]));
  const size = { width: xs.length > 0 ? Math.max(...xs) - start : 0, height: ys.length > 0 ? Math.max(...ys) - top : 0 };
  return { ...size, places: moved, routes: movedRoutes, entries: port("in"), exits: port("out") };
}

function bandsOf(nodes: readonly { y: number; height: number }[]): Band[] {
  const bands: Band[] = [];
  for (const { y, height } of nodes) {
    let band = bands.find((one) => Math.abs(one.middle - y) < 1);
    if (!band) bands.push((band = { middle: y, top: y, bottom: y }));
    band.top = Math.min(band.top, y - height / 2);
    band.bottom = Math.max(band.bottom, y + height / 2);
  }
  return bands;
}

function bandOf(middle: number, height: number): Band {
  return { middle, top: middle - height / 2, bottom: middle + height / 2 };
}

/** An edge passes a row of nodes straight down, so that it cannot cut the corner of a tall one. */
function throughBand(point: Point, bands: readonly Band[]): Point[] {
  const band = bands.find((one) => Math.abs(one.middle - point.y) < 1 && one.bottom - one.top > 1);
  return band ? [{ x: point.x, y: band.top }, { x: point.x, y: band.bottom }] : [point];
}
