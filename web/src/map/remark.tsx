// The error message beside the node that failed: to its right, where it covers no name and no size.
import type { MapLayout, MapNode } from "./layout";
import { HEADER } from "./layout";
import { CAPTION_SIZE, shortened, textWidth } from "./sizes";
import type { Area } from "./zoom";

const LINE = 17;
const POINTER = 14;

interface RemarkPlace extends Area {
  shown: readonly string[];
  /** The right border of the node, and the height at which the pointer leads to it. */
  from: { x: number; y: number };
}

export function remarkPlace(map: MapLayout, place: MapNode, lines: readonly string[]): RemarkPlace {
  const shown = lines.map((line) => shortened(line, 50));
  const height = LINE * shown.length + 10;
  const width = Math.max(...shown.map((line) => textWidth(line, CAPTION_SIZE + 1))) + 20;
  const from = { x: place.x + place.width, y: place.y + Math.min(place.height, HEADER) / 2 };
  const y = from.y - height / 2;
  const labels = map.edges.flatMap(({ label }) => label ?? []);
  const covered = [...labels, ...map.nodes.filter((node) => !node.isOpen)].filter(
    (one) => one.y < y + height && one.y + one.height > y && one.x + one.width > from.x && one.x < from.x + width,
  );
  const x = Math.max(from.x, ...covered.map((one) => one.x + one.width)) + POINTER;
  return { shown, x, y, width, height, from };
}

/** A map together with its remarks. */
export function areaWithRemarks(map: MapLayout, remarks: ReadonlyMap<number, readonly string[]> | undefined): Area {
  const places = map.nodes.flatMap((node) => {
    const lines = remarks?.get(node.id) ?? [];
    return lines.length > 0 ? remarkPlace(map, node, lines) : [];
  });
  return { x: 0, y: 0, width: Math.max(map.width, ...places.map(({ x, width }) => x + width + 6)), height: map.height };
}

export function Remark({ map, place, lines }: { map: MapLayout; place: MapNode | undefined; lines: readonly string[] }) {
  if (!place || lines.length === 0) return null;
  const { shown, x, y, width, height, from } = remarkPlace(map, place, lines);
  return (
    <g class="remark" aria-hidden="true">
      <path class="pointer" d={`M${from.x + 5},${from.y}H${x}`} />
      <path d={`M${from.x + 5},${from.y}l9,-6v12z`} />
      <rect {...{ x, y, width, height }} rx="6" />
      {shown.map((line, at) => (
        <text key={at} class="start" x={x + 10} y={y + 18 + at * LINE}>
          {line}
        </text>
      ))}
    </g>
  );
}
