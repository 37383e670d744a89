// The layout of the picture of a graph: pure numbers, with the open boxes inside of each other.
// The page draws them, and so does the SVG picture, which runs this code without a browser.
import type { Edge, Graph, Node } from "../record";
import { layoutBox, type BoxLayout, type Order } from "./box_layout";
import { Ports } from "./ports";
import { labelOf, titleOf, type Label, type TitleParts } from "./sizes";
import type { Item, Point, Route, Wire } from "./strip_layout";
import { skipsOf } from "./strips";
import { turned } from "./turned";

export type Direction = "down" | "right";

export interface MapNode {
  id: number;
  x: number;
  y: number;
  width: number;
  height: number;
  depth: number;
  isOpen: boolean;
  canOpen: boolean;
  title: TitleParts;
}

export interface MapEdge {
  /** Number of the edge in the graph. */
  edge: number;
  points: Point[];
  /** Of the box whose picture the edge is in; -1 outside of the model. */
  depth: number;
  /** Comes in through the border of the box. */
  isEntry: boolean;
  /** Goes out through the border of the box. */
  isExit: boolean;
  isSkip: boolean;
  /** Runs at right angles, beside other nodes. */
  isArc: boolean;
  /** A skip connection: added or concatenated to the result of the nodes that it goes around. */
  isResidual: boolean;
  heading: Direction;
  /** From one of equal blocks to the next one. */
  isLoop: boolean;
  /** The upper left corner of the label. */
  label: (Label & Point) | null;
}

export interface MapLayout {
  width: number;
  height: number;
  direction: Direction;
  /** A box stands before what it contains. */
  nodes: MapNode[];
  edges: MapEdge[];
}

interface Inside {
  layout: BoxLayout;
  padding: Padding;
  width: number;
  height: number;
  /** The number of the edge of the graph that each wire shows. */
  wires: Map<Wire, number>;
  items: Map<number, Item>;
  /** x of the points on the border of the box where a tensor comes in and goes out. */
  entries: Map<number, number>;
  exits: Map<number, number>;
}

interface Padding {
  before: number;
  after: number;
  left: number;
  right: number;
}

/** Height of the strip with the name of an open box. */
export const HEADER = 34;
const MARGIN = 14;
const JOINS = /^(i?add_?|cat|concat|concatenate|stack|hstack|dstack)$/;
const LOOP = 30;
/** How far the blocks behind the first one stand out. */
export const STACK = 8;

/** Keeps the layout of each box, so that opening a box lays out only it and those around it. */
export class MapPlanner {
  private readonly children = new Map<number | null, Node[]>();
  private readonly edges = new Map<number | null, [Edge, number][]>();
  private readonly joins = new Set<number>();
  /** Equal blocks that feed each other. */
  private readonly loops = new Set<number>();
  private readonly titles = new Map<number, TitleParts>();
  private readonly kept = new Map<string, Inside>();
  private readonly orders = new Map<number | null, Order>();

  /** `caption` gives the text below the name of a module: its class, as a rule. `unlabelled` are tensors. */
  constructor(
    graph: Graph,
    private readonly direction: Direction = "down",
    private readonly caption: (node: Node) => string = () => "",
    private readonly unlabelled: Iterable<number> = [],
  ) {
    for (const node of graph.nodes) {
      push(this.children, node.parent ?? null, node);
      if (node.kind === "operation" && JOINS.test(node.label)) this.joins.add(node.id);
    }
    graph.edges.forEach((edge, at) => {
      push(this.edges, edge.box, [edge, at]);
      if (edge.source === edge.target && edge.source !== edge.box) this.loops.add(edge.source);
    });
  }

  /** Returns the whole picture with the given boxes open. */
  layout(open: ReadonlySet<number>): MapLayout {
    const inside = this.inside(null, open);
    const found: MapLayout = {
      width: inside.width,
      height: inside.height,
      direction: this.direction,
      nodes: [],
      edges: [],
    };
    this.collect(found, null, { x: 0, y: 0 }, 0, open);
    return this.direction === "down" ? found : turned(found);
  }

  canOpen(id: number): boolean {
    return this.children.has(id);
  }

  /** A box that holds only equal blocks is shown as these blocks. */
  private title(node: Node): TitleParts {
    let title = this.titles.get(node.id);
    if (!title) this.titles.set(node.id, (title = this.computedTitle(node)));
    return title;
  }

  private computedTitle(node: Node): TitleParts {
    const [only, ...others] = this.children.get(node.id) ?? [];
    const blocks = only?.layers && only.layers.length > 1 && others.length === 0 ? only : node;
    return titleOf(node, this.caption(blocks), blocks.layers?.length ?? 1, this.canOpen(node.id));
  }

  /** What is in a box, flowing downwards. */
  private inside(box: number | null, open: ReadonlySet<number>): Inside {
    const key = `${box}:${this.openBelow(box, open).join(".")}`;
    let inside = this.kept.get(key);
    if (!inside) this.kept.set(key, (inside = this.computed(box, open)));
    return inside;
  }

  private openBelow(box: number | null, open: ReadonlySet<number>): number[] {
    const inner = (this.children.get(box) ?? []).filter((node) => this.isOpen(node.id, open));
    return inner.flatMap((node) => [node.id, ...this.openBelow(node.id, open)]);
  }

  private isOpen(id: number, open: ReadonlySet<number>): boolean {
    return open.has(id) && this.canOpen(id);
  }

  private computed(box: number | null, open: ReadonlySet<number>): Inside {
    const edges = this.edges.get(box) ?? [];
    const items = (this.children.get(box) ?? []).map((node) => this.item(node, open));
    const ports = new Ports(box);
    const ends = edges
      .filter(([edge]) => edge.source !== edge.target || edge.source === box)
      .map(([edge, at]) => ({ edge, at, source: ports.entry(edge), target: ports.exit(edge) }));
    const skips = skipsOf(ends);
    const labels = new Set(this.unlabelled);
    const wires = new Map<Wire, number>();
    // The label of a tensor stands on its main line rather than beside it.
    for (const end of [...ends].sort((a, b) => Number(skips.has(a)) - Number(skips.has(b)))) {
      const { edge, at, source, target } = end;
      const hasLabel = !labels.has(edge.tensor) && source >= 0 && target >= 0;
      if (hasLabel) labels.add(edge.tensor);
      const label = hasLabel ? this.flat(labelOf(edge)) : null;
      wires.set({ source, target, tensor: edge.tensor, isSkip: skips.has(end), label }, at);
    }
    const layout = layoutBox(ports.around(items), [...wires.keys()], ports.entries, ports.exits, this.order(box));
    const padding = this.padding(box);
    return {
      layout,
      padding,
      wires,
      items: new Map(items.map((item) => [item.id, item])),
      ...ports.places(layout),
      width: layout.width + padding.left + padding.right,
      height: layout.height + padding.before + padding.after,
    };
  }

  private item(node: Node, open: ReadonlySet<number>): Item {
    const side = this.loops.has(node.id) ? LOOP : 0;
    if (!this.isOpen(node.id, open)) {
      const size = this.flat(this.title(node));
      const middle = () => size.width / 2 + side;
      return {
        id: node.id,
        isOpen: false,
        height: size.height,
        width: size.width + side * 2,
        entry: middle,
        exit: middle,
      };
    }
    const inside = this.inside(node.id, open);
    const title = this.title(node).width + 40;
    const width = Math.max(inside.width, this.direction === "down" ? title : 0);
    const shift = (width - inside.width) / 2 + inside.padding.left + side;
    const port = (ports: ReadonlyMap<number, number>) => (tensor: number) =>
      (ports.get(tensor) ?? inside.layout.width / 2) + shift;
    return {
      id: node.id,
      isOpen: true,
      width: width + side * 2,
      height: Math.max(inside.height, this.direction === "right" ? title : 0),
      entry: port(inside.entries),
      exit: port(inside.exits),
    };
  }

  private order(box: number | null): Order {
    let order = this.orders.get(box);
    if (!order) this.orders.set(box, (order = new Map()));
    return order;
  }

  private padding(box: number | null): Padding {
    if (box === null) return { before: MARGIN, after: MARGIN, left: MARGIN, right: MARGIN };
    return this.direction === "down"
      ? { before: HEADER, after: 8, left: MARGIN, right: MARGIN }
      : { before: MARGIN + 2, after: MARGIN + 2, left: HEADER + 6, right: MARGIN };
  }

  /** Sizes as they are when the picture is turned so that it flows downwards. */
  private flat<S extends { width: number; height: number }>(size: S): S {
    return this.direction === "down" ? size : { ...size, width: size.height, height: size.width };
  }

  private collect(
    found: MapLayout,
    box: number | null,
    corner: Point,
    depth: number,
    open: ReadonlySet<number>,
  ): void {
    const inside = this.inside(box, open);
    const { layout, padding } = inside;
    const origin = { x: corner.x + padding.left, y: corner.y + padding.before };
    const edges = this.edges.get(box) ?? [];
    for (const [wire, at] of inside.wires) {
      const route = layout.routes.get(wire);
      if (route) found.edges.push(this.edgeAt({ wire, at, route, origin, padding, box, depth: depth - 1 }));
    }
    for (const node of this.children.get(box) ?? []) {
      const [item, place] = [inside.items.get(node.id), layout.places.get(node.id)];
      if (!item || !place) continue;
      const side = this.loops.has(node.id) ? LOOP : 0;
      const [width, height] = [item.width - side * 2, item.height];
      const at = { x: origin.x + place.x + side, y: origin.y + place.y };
      const { id } = node;
      found.nodes.push({
        id,
        ...at,
        width,
        height,
        depth,
        isOpen: item.isOpen,
        canOpen: this.canOpen(id),
        title: this.title(node),
      });
      if (side > 0) {
        const isLoop = ([edge]: [Edge, number]) => edge.source === id && edge.target === id;
        const reach = width + (item.isOpen ? 0 : STACK);
        for (const [, number] of edges.filter(isLoop))
          found.edges.push(loop(number, at, reach, height, depth - 1));
      }
      if (item.isOpen) {
        const slack = (width - this.inside(id, open).width) / 2;
        this.collect(found, id, { x: at.x + slack, y: at.y }, depth + 1, open);
      }
    }
  }

  private edgeAt({ wire, at, route, origin, padding, box, depth }: RoutedWire): MapEdge {
    const move = (point: Point): Point => ({ x: point.x + origin.x, y: point.y + origin.y });
    const points = route.points.map(move);
    const [isEntry, isExit] = [wire.source < 0, wire.target < 0];
    const last = points.at(-1);
    // Down to the lower border, where the picture of the box around it goes on.
    if (isExit && last) last.y += padding.after;
    const heading: Direction = route.isSideways ? "right" : "down";
    const found = {
      edge: at,
      points,
      depth,
      isEntry,
      isExit,
      isSkip: wire.isSkip,
      isArc: route.isArc,
      isResidual: wire.isSkip && this.joins.has(wire.target),
      heading,
      isLoop: false,
    };
    const edge = this.edges.get(box)?.find(([, number]) => number === at)?.[0];
    if (!route.label || !wire.label || !edge) return { ...found, label: null };
    const middle = move(route.label);
    const corner = { x: middle.x - wire.label.width / 2, y: middle.y - wire.label.height / 2 };
    return { ...found, label: { ...labelOf(edge), ...corner } };
  }
}

interface RoutedWire {
  wire: Wire;
  /** Number of the edge in the graph. */
  at: number;
  route: Route;
  origin: Point;
  padding: Padding;
  box: number | null;
  depth: number;
}

function loop(edge: number, at: Point, width: number, height: number, depth: number): MapEdge {
  const [x, top, bottom] = [at.x + width, at.y + height * 0.25, at.y + height * 0.75];
  const points = [
    { x, y: bottom },
    { x: x + LOOP, y: bottom },
    { x: x + LOOP, y: top },
    { x, y: top },
  ];
  return {
    edge,
    points,
    depth,
    isEntry: false,
    isExit: false,
    isSkip: false,
    isArc: false,
    isResidual: false,
    heading: "down",
    isLoop: true,
    label: null,
  };
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const values = map.get(key);
  if (values) values.push(value);
  else map.set(key, [value]);
}
