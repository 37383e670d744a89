// Strips that lead nowhere, such as the check of its positions in a Llama of transformers: they hang down on the
// left, so that what follows them in time stays near to what it is made of.
import type { Graph as Dagre } from "@dagrejs/dagre";
import { LANE, SIDE_GAP, type PlacedStrip } from "./box_layout";
import type { Point, Wire } from "./strip_layout";

/** Tells whether a strip is long, and ends in a tensor that no other one takes, as a check of the input does. */
export function leadsNowhere(
  one: PlacedStrip,
  links: readonly Wire[],
  stripWith: ReadonlyMap<number, PlacedStrip>,
  exits: ReadonlySet<number>,
): boolean {
  const { items } = one.strip;
  const isTaken = links.some((wire) => stripWith.get(wire.source) === one);
  const isEntered = links.some((wire) => stripWith.get(wire.target) === one);
  return items.length > 2 && isEntered && !isTaken && !items.some(({ item }) => exits.has(item.id));
}

/** The height of a strip as far as others have to keep out of its way. */
export function heightInRow({ strip, isHanging }: PlacedStrip): number {
  return isHanging ? (strip.items[0]?.item.height ?? 0) : strip.height;
}

/** Moves the strips that hang to the left of everything else. */
export function hang(graph: Dagre, strips: readonly PlacedStrip[]): void {
  const edges = graph.edges().map((edge) => graph.edge(edge) as unknown as { points: Point[]; x?: number; width: number });
  let left = Math.min(
    ...strips.filter((one) => !one.isHanging).map((one) => one.left),
    ...edges.flatMap(({ points, x, width }) => [...points.map((point) => point.x), ...(x === undefined ? [] : [x - width / 2])]),
  );
  for (const one of strips.filter(({ isHanging }) => isHanging)) {
    left -= SIDE_GAP + one.strip.width + one.lanes.length * LANE;
    one.left = left;
  }
}

/** Leads a path to what hangs on the left: along the gap above its row, where no node is. */
export function alongRow(y: number, path: readonly Point[], end: readonly Point[]): Point[] {
  const above = path.filter((point) => point.y < y);
  const [last, first] = [above.at(-1), end[0]];
  return last && first ? [...above, { x: last.x, y }, { x: first.x, y }] : above;
}
