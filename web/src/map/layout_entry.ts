// The layout without a page, for the SVG picture: JSON in, JSON out. The result is a MapLayout.
import type { Graph } from "../record";
import { MapPlanner, type Direction } from "./layout";
import { loopPath, pathOf } from "./path";

interface Question {
  graph: Graph;
  /** Ids of the open boxes. */
  open: number[];
  /** The text beside the name of a module, by the id of its node. */
  captions: Record<string, string>;
  direction: Direction;
  /** Tensors whose names and sizes are not shown. */
  unlabelled: number[];
}

function gptraceLayout(json: string): string {
  const { graph, open, captions, direction, unlabelled } = JSON.parse(json) as Question;
  const map = new MapPlanner(graph, direction, (node) => captions[node.id] ?? "", unlabelled).layout(
    new Set(open),
  );
  const edges = map.edges.map((edge) => ({
    ...edge,
    path: edge.isLoop ? loopPath(edge.points) : pathOf(edge.points, direction),
  }));
  return JSON.stringify({ ...map, edges });
}

// dagre copies labels with it; a bare JavaScript engine does not have it.
globalThis.structuredClone ??= (value) => JSON.parse(JSON.stringify(value));
Object.assign(globalThis, { gptraceLayout });
