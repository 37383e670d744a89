// The places where a model attends, by the numbers of their layers.
import type { AttentionMap } from "../../record";

/** Places of attention from the first to the last; some layers of a long text may be left out. */
export interface Places {
  maps: readonly AttentionMap[];
  /** The number of each layer: that of its block, or a count where blocks attend more than once or have no number. */
  layers: readonly number[];
}

export function placesOf(maps: readonly AttentionMap[]): Places {
  const blocks = maps.map((map) => Number(map.path.match(/(?:^|\.)(\d+)(?:\.|$)/)?.[1] ?? NaN));
  const hasNumbers = blocks.every((block) => !Number.isNaN(block)) && new Set(blocks).size === blocks.length;
  return { maps, layers: hasNumbers ? blocks : maps.map((_, at) => at) };
}

/** The row of a layer, or of the nearest one that is shown. */
export function rowOf({ layers }: Places, layer: number): number {
  let nearest = 0;
  layers.forEach((one, row) => {
    if (Math.abs(one - layer) < Math.abs((layers[nearest] ?? 0) - layer)) nearest = row;
  });
  return nearest;
}
