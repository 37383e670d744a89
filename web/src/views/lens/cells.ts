// The data of the cells of the lens.
import type { Candidate, LensCell, LensLayer, LensResult } from "../../record";

/** A column of the lens: the predictions of all layers at one position. */
export interface Column {
  position: number;
  /** The prediction of the whole model there. */
  final: Candidate;
  cells: readonly ColumnCell[];
}

export interface ColumnCell {
  layer: number;
  path: string;
  candidates: readonly Candidate[];
  /** Rank and probability that the layer gives to the model's prediction. */
  rank: number;
  probability: number | null;
}

export function columnOf(lens: LensResult, position: number): Column | null {
  const final = lens.layers.at(-1)?.positions[position]?.candidates[0];
  if (!final) return null;
  const cells = lens.layers.flatMap((layer, at) => {
    const cell = layer.positions[position];
    if (!cell) return [];
    const candidates = candidatesOf(layer, cell);
    return [{ layer: at, path: layer.path, candidates, rank: cell.rank_of_prediction, probability: probabilityOf(cell, candidates, final) }];
  });
  return { position, final, cells };
}

/** After the last token, a layer has more candidates than its cell. */
function candidatesOf(layer: LensLayer, cell: LensCell): readonly Candidate[] {
  const isLast = cell.position === layer.positions.length - 1;
  return isLast && layer.candidates.length > cell.candidates.length ? layer.candidates : cell.candidates;
}

/** The probability of the model's prediction, where it was measured. */
function probabilityOf(cell: LensCell, candidates: readonly Candidate[], final: Candidate): number | null {
  return cell.probability_of_prediction ?? candidates.find((candidate) => candidate.id === final.id)?.probability ?? null;
}

/** From which layer on the model's prediction stays the first. */
export function settledAt(column: Column): number {
  let layer = column.cells.length;
  while (layer > 0 && column.cells[layer - 1]?.rank === 1) layer--;
  return layer;
}

/** The greatest rank of each tint. */
export const RANK_CLASSES = [1, 5, 20, 100, Infinity] as const;

export function rankClass(rank: number): number {
  return RANK_CLASSES.findIndex((most) => rank <= most);
}
