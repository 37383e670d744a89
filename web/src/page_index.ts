// What is looked up often in a record, gathered once.
import type { Graph, ModuleCall, Node, Page } from "./record";

export interface PageIndex {
  nodes: ReadonlyMap<number, Node>;
  /** Nodes directly in a box, in order of execution; those outside of every box under null. */
  children: ReadonlyMap<number | null, readonly Node[]>;
  calls: readonly ModuleCall[];
  /** The node of each call that a node stands for, and its layer where the node is one of equal blocks. */
  places: ReadonlyMap<number, Place>;
  /** The greatest number of equal blocks in a row; 1 where there are none. */
  layerCount: number;
}

export interface Place {
  node: Node;
  layer: number | null;
}

export function pageIndex(page: Page): PageIndex {
  const nodes = new Map(page.graph.nodes.map((node) => [node.id, node]));
  const children = new Map<number | null, Node[]>();
  for (const node of page.graph.nodes) {
    const parent = node.parent ?? null;
    children.set(parent, [...(children.get(parent) ?? []), node]);
  }
  return {
    nodes,
    children,
    calls: page.trace.calls,
    places: placesOf(page.graph, nodes, page.trace.calls),
    layerCount: Math.max(1, layersOfBlocks(page)),
  };
}

/** The ids of the boxes around a node, outermost first. */
export function ancestors(index: PageIndex, node: Node): Node[] {
  const found: Node[] = [];
  for (let at = parentOf(index, node); at; at = parentOf(index, at)) found.unshift(at);
  return found;
}

export function parentOf(index: PageIndex, node: Node): Node | undefined {
  return node.parent == null ? undefined : index.nodes.get(node.parent);
}

/** The index of the call that a node stands for in a layer: equal blocks are one node. */
export function callOf(index: PageIndex, node: Node, layer: number): number | null {
  if (node.call == null) return null;
  let call = node.call;
  for (const box of [...ancestors(index, node), node]) call += offsetOf(box, layer);
  return call;
}

function offsetOf(box: Node, layer: number): number {
  const layers = box.layers ?? [];
  const first = layers[0];
  if (first === undefined) return 0;
  return (layers[Math.min(layer, layers.length - 1)] ?? first) - first;
}

function layersOfBlocks(page: Page): number {
  const ofGraph = page.graph.nodes.map((node) => node.layers?.length ?? 0);
  const ofAttention = page.prompts.map((prompt) => prompt.attention?.length ?? 0);
  const ofLens = page.prompts.map((prompt) => prompt.lens?.layers.length ?? 0);
  return Math.max(0, ...ofGraph, ...ofAttention, ...ofLens);
}

function placesOf(graph: Graph, nodes: ReadonlyMap<number, Node>, calls: readonly ModuleCall[]): Map<number, Place> {
  const places = new Map<number, Place>();
  const modules = graph.nodes.filter((node) => node.kind === "module" && node.call != null);
  for (const node of modules) {
    const boxes: Node[] = [node];
    for (let at = node; at.parent != null; ) {
      const parent = nodes.get(at.parent);
      if (!parent) break;
      boxes.push((at = parent));
    }
    const count = Math.max(1, ...boxes.map((box) => box.layers?.length ?? 0));
    for (let layer = 0; layer < count; layer++) {
      const call = boxes.reduce((sum, box) => sum + offsetOf(box, layer), node.call ?? 0);
      if (call < calls.length && !places.has(call)) places.set(call, { node, layer: count > 1 ? layer : null });
    }
  }
  return places;
}
