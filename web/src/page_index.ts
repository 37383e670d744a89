// Facts of a record that are looked up often, computed once.
import { withUnreached, type WholeGraph } from "./map/unreached";
import type { ModuleCall, Node, OpCall, Page, Trace } from "./record";

export interface PageIndex {
  /** The graph of the record, with the modules that never ran. */
  graph: WholeGraph;
  nodes: ReadonlyMap<number, Node>;
  /** Nodes directly in a box, in order of execution; those outside of every box under null. */
  children: ReadonlyMap<number | null, readonly Node[]>;
  calls: readonly ModuleCall[];
  /** The node that stands for each call, and the layer of the call where the node is one of equal blocks. */
  places: ReadonlyMap<number, Place>;
  /** The greatest number of equal blocks in a row; 1 where there are none. */
  layerCount: number;
  /** Names of axes that only the output has: vocab_size. */
  finalAxes: ReadonlySet<string>;
  isTimed: boolean;
}

export interface Place {
  node: Node;
  layer: number | null;
}

export function pageIndex(page: Page): PageIndex {
  const graph = withUnreached(page);
  const nodes = new Map(graph.nodes.map((node) => [node.id, node]));
  const children = new Map<number | null, Node[]>();
  for (const node of graph.nodes) {
    const siblings = children.get(node.parent ?? null);
    if (siblings) siblings.push(node);
    else children.set(node.parent ?? null, [node]);
  }
  const found = { graph, nodes, children, calls: page.trace.calls };
  return {
    ...found,
    places: placesOf(found),
    layerCount: Math.max(1, layersOfBlocks(page)),
    finalAxes: finalAxes(page),
    isTimed: isTimed(page.trace),
  };
}

type Found = Pick<PageIndex, "graph" | "nodes" | "children" | "calls">;

export function parentOf(index: Pick<PageIndex, "nodes">, node: Node): Node | undefined {
  return node.parent == null ? undefined : index.nodes.get(node.parent);
}

/** The boxes around a node, outermost first. */
export function ancestors(index: Pick<PageIndex, "nodes">, node: Node): Node[] {
  const found: Node[] = [];
  for (let at = parentOf(index, node); at; at = parentOf(index, at)) found.unshift(at);
  return found;
}

/** The index of the call that a node stands for in a layer, or in which its operation ran. */
export function callIndex(index: Pick<PageIndex, "nodes">, node: Node, layer: number): number | null {
  if (node.call == null) return null;
  return [...ancestors(index, node), node].reduce((call, box) => call + offsetOf(box, layer), node.call);
}

/** The call that a node stands for in a layer, or in which its operation ran. */
export function callOf(index: PageIndex, node: Node, layer: number): ModuleCall | undefined {
  const at = callIndex(index, node, layer);
  return at === null ? undefined : index.calls[at];
}

/** The operation that a node stands for. */
export function operationOf(index: PageIndex, node: Node, layer: number): OpCall | undefined {
  return node.op == null ? undefined : callOf(index, node, layer)?.ops?.[node.op];
}

/** The path of the module that a node stands for, also if it never ran. */
export function pathOf(index: PageIndex, node: Node, layer: number): string {
  return index.graph.unreached.get(node.id) ?? callOf(index, node, layer)?.path ?? "";
}

/** Tells whether a node is one of equal blocks or is inside of one: it changes with the layer. */
export function layersAround(index: Pick<PageIndex, "nodes">, node: Node): number {
  return Math.max(1, ...[...ancestors(index, node), node].map((box) => box.layers?.length ?? 0));
}

function offsetOf(box: Node, layer: number): number {
  const layers = box.layers ?? [];
  const first = layers[0];
  if (first === undefined) return 0;
  return (layers[Math.min(layer, layers.length - 1)] ?? first) - first;
}

/** The time of a simulation is not that of the model. */
export function isTimed(trace: Trace): boolean {
  return !trace.mesh?.simulated;
}

function finalAxes(page: Page): Set<string> {
  const output = page.trace.calls[0]?.outputs[0];
  if (output?.dims.join() !== page.trace.flow.at(-1)?.dims.join()) return new Set();
  const before = new Set(page.trace.flow.slice(0, -1).flatMap((step) => step.dims));
  return new Set(
    (page.trace.flow.at(-1)?.dims ?? []).filter((name) => !before.has(name) && !/^\d+$/.test(name)),
  );
}

function layersOfBlocks(page: Page): number {
  const ofGraph = page.graph.nodes.map((node) => node.layers?.length ?? 0);
  const ofAttention = page.prompts.map((prompt) => prompt.attention?.length ?? 0);
  const ofLens = page.prompts.map((prompt) => prompt.lens?.layers.length ?? 0);
  return Math.max(0, ...ofGraph, ...ofAttention, ...ofLens);
}

function placesOf(index: Found): Map<number, Place> {
  const places = new Map<number, Place>();
  for (const node of index.graph.nodes) {
    if (node.kind !== "module" || node.call == null) continue;
    const count = layersAround(index, node);
    for (let layer = 0; layer < count; layer++) {
      const call = callIndex(index, node, layer) ?? -1;
      if (index.calls[call] && !places.has(call)) places.set(call, { node, layer: count > 1 ? layer : null });
    }
  }
  return places;
}
