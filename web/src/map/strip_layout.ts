// A strip: nodes below each other along one line, and beside it the connections that go around some of them.
import type { Size } from "./sizes";

export interface Point {
  x: number;
  y: number;
}

/** A node with its size, and where an edge of a tensor meets its border: x from its left edge. */
export interface Item extends Size {
  id: number;
  /**
   * Connections from the side end on top of a box, where its picture goes on, and at the side of anything
   * else.
   */
  isOpen: boolean;
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
  /** Runs at right angles, beside a strip. */
  isArc: boolean;
  /** Arrives at the side of a node. */
  isSideways: boolean;
}

/** Everything is measured from the upper left corner of the strip. */
export interface Strip extends Size {
  items: { item: Item; x: number; y: number }[];
  routes: Map<Wire, Route>;
  /** The label below the last node, for all edges that leave from there: they carry the same tensor. */
  tail: { wire: Wire; label: Point } | null;
}

const ABOVE_LABEL = 9;
const BELOW_LABEL = 12; // room for an arrowhead
const PLAIN_GAP = 24; // between two nodes without a label
const TAP = 5; // below a node, where a connection leaves its line
const FIRST_LANE = 16;
const LANE = 12;

/** Stacks the nodes so that the main line is straight. */
export function stripLayout(items: readonly Item[], wires: readonly Wire[]): Strip {
  const at = new Map(items.map((item, number) => [item.id, number]));
  const own = wires.filter(
    (wire) => at.has(wire.source) && at.has(wire.target) && wire.source !== wire.target,
  );
  const placed: Strip["items"] = [];
  const routes = new Map<Wire, Route>();
  for (const item of items) {
    const before = placed.at(-1);
    const wire =
      before && own.find((one) => !one.isSkip && one.source === before.item.id && one.target === item.id);
    if (!before || !wire) {
      placed.push({ item, x: 0, y: before ? before.y + before.item.height + PLAIN_GAP : 0 });
      continue;
    }
    const line = before.x + before.item.exit(wire.tensor);
    const end = before.y + before.item.height;
    const y = end + (wire.label ? ABOVE_LABEL + wire.label.height + BELOW_LABEL : PLAIN_GAP);
    placed.push({ item, x: line - item.entry(wire.tensor), y });
    const label = wire.label && { x: line, y: end + ABOVE_LABEL + wire.label.height / 2 };
    routes.set(wire, {
      points: [
        { x: line, y: end },
        { x: line, y },
      ],
      label,
      isArc: false,
      isSideways: false,
    });
  }
  const lanes = addArcs(
    placed,
    own.filter((wire) => !routes.has(wire)),
    at,
    routes,
  );
  return framed(placed, routes, lanes, tailOf(placed, wires, at));
}

function tailOf(
  placed: Strip["items"],
  wires: readonly Wire[],
  at: ReadonlyMap<number, number>,
): Strip["tail"] {
  const last = placed.at(-1);
  const leaving = wires.filter((wire) => wire.source === last?.item.id && !at.has(wire.target));
  const wire = leaving.find((one) => one.label);
  if (!last || !wire?.label || leaving.some((one) => one.tensor !== wire.tensor)) return null;
  const label = {
    x: last.x + last.item.exit(wire.tensor),
    y: last.y + last.item.height + ABOVE_LABEL + wire.label.height / 2,
  };
  return { wire, label };
}

/** Leads connections around the nodes between their ends, on the left; short ones are nearer to the nodes. */
function addArcs(
  placed: Strip["items"],
  wires: readonly Wire[],
  at: ReadonlyMap<number, number>,
  routes: Map<Wire, Route>,
): number[] {
  const spanOf = (wire: Wire): [number, number] => [at.get(wire.source) ?? 0, at.get(wire.target) ?? 0];
  const lanes: { from: number; to: number; x: number }[] = [];
  const ordered = [...wires].sort((a, b) => spanOf(a)[1] - spanOf(a)[0] - (spanOf(b)[1] - spanOf(b)[0]));
  for (const wire of ordered) {
    const [from, to] = spanOf(wire);
    const [source, target] = [placed[from], placed[to]];
    if (!source || !target) continue;
    const lefts = placed.slice(Math.min(from, to) + 1, Math.max(from, to)).map(({ x }) => x);
    for (const [other, route] of routes) {
      const [start, end] = spanOf(other);
      if (route.label && other.label && start >= from && end <= to)
        lefts.push(route.label.x - other.label.width / 2);
    }
    const line = source.x + source.item.exit(wire.tensor);
    const around = lanes.filter((lane) => lane.from < to && from < lane.to).map((lane) => lane.x - LANE);
    const half = (wire.label?.width ?? 0) / 2;
    const x =
      Math.min(
        line - FIRST_LANE,
        target.x - FIRST_LANE,
        ...lefts.map((left) => left - FIRST_LANE),
        ...around,
      ) - half;
    lanes.push({ from, to, x: x - half });
    const bottom = source.y + source.item.height;
    const start = [
      { x: line, y: bottom },
      { x: line, y: bottom + TAP },
      { x, y: bottom + TAP },
    ];
    const points = [...start, ...arrival(target, wire, x)];
    const label = wire.label && { x, y: (bottom + TAP + target.y) / 2 };
    routes.set(wire, { points, label, isArc: true, isSideways: !target.item.isOpen });
  }
  return lanes.map((lane) => lane.x);
}

/** The last points of a connection that comes down beside the strip at x. */
export function arrival(target: { item: Item; x: number; y: number }, wire: Wire, x: number): Point[] {
  const { item } = target;
  if (item.isOpen) {
    const line = target.x + item.entry(wire.tensor);
    return [
      { x, y: target.y - 11 },
      { x: line, y: target.y - 11 },
      { x: line, y: target.y },
    ];
  }
  const y = target.y + item.height / 2;
  return [
    { x, y },
    { x: x < target.x ? target.x : target.x + item.width, y },
  ];
}

function framed(
  placed: Strip["items"],
  routes: Map<Wire, Route>,
  lanes: readonly number[],
  tail: Strip["tail"],
): Strip {
  const xs = [...lanes.map((x) => x - 4), ...placed.flatMap(({ item, x }) => [x, x + item.width])];
  for (const [wire, { label }] of routes) {
    if (label && wire.label) xs.push(label.x - wire.label.width / 2, label.x + wire.label.width / 2);
  }
  const tailSize = tail?.wire.label;
  if (tail && tailSize) xs.push(tail.label.x - tailSize.width / 2, tail.label.x + tailSize.width / 2);
  const left = Math.min(...xs);
  const last = placed.at(-1);
  for (const one of placed) one.x -= left;
  for (const route of routes.values()) {
    route.points = route.points.map(({ x, y }) => ({ x: x - left, y }));
    if (route.label) route.label = { x: route.label.x - left, y: route.label.y };
  }
  const bottom = last ? last.y + last.item.height : 0;
  const height = tail && tailSize ? tail.label.y + tailSize.height / 2 : bottom;
  const moved = tail && { ...tail, label: { x: tail.label.x - left, y: tail.label.y } };
  return { items: placed, routes, tail: moved, width: Math.max(...xs) - left, height };
}
