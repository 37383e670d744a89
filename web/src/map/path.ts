// Points → the path of an SVG: smooth, and upright where it leaves and arrives.
import type { Direction } from "./layout";
import type { Point } from "./strip_layout";

const RADIUS = 9;

/**
 * Curves between points that are beside each other, straight lines with rounded corners between the others.
 */
export function pathOf(points: readonly Point[], direction: Direction = "down"): string {
  const [first] = points;
  if (!first) return "";
  let path = `M${at(first)}`;
  for (let number = 1; number < points.length; number++) {
    const [from, to, after] = [points[number - 1], points[number], points[number + 1]];
    if (!from || !to) continue;
    if (!isStraight(from, to)) path += curve(from, to, direction);
    else if (after && isStraight(to, after))
      path += `L${at(towards(to, from))}Q${at(to)} ${at(towards(to, after))}`;
    else path += `L${at(to)}`;
  }
  return path;
}

function isStraight(from: Point, to: Point): boolean {
  return Math.abs(to.x - from.x) < 0.5 || Math.abs(to.y - from.y) < 0.5;
}

/** The arc from one of equal blocks to the next: corners are rounded. */
export function loopPath([from, out, back, to]: readonly Point[]): string {
  return from && out && back && to ? `M${at(from)}C${at(out)} ${at(back)} ${at(to)}` : "";
}

function towards(from: Point, to: Point): Point {
  const distance = Math.hypot(to.x - from.x, to.y - from.y);
  const part = distance === 0 ? 0 : Math.min(RADIUS, distance / 2) / distance;
  return { x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part };
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
