import type { MapLayout } from "./layout";
import type { Point } from "./strip_layout";

/** Exchanges down and right. */
export function turned(map: MapLayout): MapLayout {
  const turn = ({ x, y }: Point): Point => ({ x: y, y: x });
  return {
    ...map,
    width: map.height,
    height: map.width,
    nodes: map.nodes.map((node) => ({ ...node, ...turn(node), width: node.height, height: node.width })),
    edges: map.edges.map((edge) => ({
      ...edge,
      points: edge.points.map(turn),
      heading: edge.heading === "down" ? "right" : "down",
      label: edge.label && { ...edge.label, ...turn(edge.label) },
    })),
  };
}
