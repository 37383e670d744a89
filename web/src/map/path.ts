// Points → the paths of an SVG: smooth, and upright where they leave and arrive.
import type { Direction, MapEdge } from "./layout";
import type { Point } from "./box_layout";

export function lineOf(edge: MapEdge, direction: Direction): string {
  return edge.isLoop ? loopPath(edge.points) : pathOf(edge.points, direction);
}

/** The tip of the arrow. */
export function headOf(edge: MapEdge, direction: Direction): string {
  const last = at(edge.points.at(-1) ?? { x: 0, y: 0 });
  const isUpright = edge.isLoop ? direction === "right" : direction === "down";
  return isUpright ? `M${last}${edge.isLoop ? "l-4,7h8z" : "l-4,-7h8z"}` : `M${last}${edge.isLoop ? "l7,-4v8z" : "l-7,-4v8z"}`;
}

function pathOf(points: readonly Point[], direction: Direction): string {
  const [first, ...rest] = points;
  if (!first) return "";
  let path = `M${round(first.x)},${round(first.y)}`;
  let from = first;
  for (const to of rest) {
    const isStraight = direction === "down" ? Math.abs(to.x - from.x) < 0.5 : Math.abs(to.y - from.y) < 0.5;
    path += isStraight ? `L${at(to)}` : curve(from, to, direction);
    from = to;
  }
  return path;
}

/** The arc from one of equal blocks to the next: corners are rounded. */
function loopPath([from, out, back, to]: readonly Point[]): string {
  return from && out && back && to ? `M${at(from)}C${at(out)} ${at(back)} ${at(to)}` : "";
}

function curve(from: Point, to: Point, direction: Direction): string {
  if (direction === "down") {
    const middle = (from.y + to.y) / 2;
    return `C${round(from.x)},${round(middle)} ${round(to.x)},${round(middle)} ${at(to)}`;
  }
  const middle = (from.x + to.x) / 2;
  return `C${round(middle)},${round(from.y)} ${round(middle)},${round(to.y)} ${at(to)}`;
}

function at({ x, y }: Point): string {
  return `${round(x)},${round(y)}`;
}

function round(number: number): number {
  return Math.round(number * 10) / 10;
}
