// Where the ranks of a mesh are. The last dimension of a mesh changes first, and makes the columns of the grid; one
// that is too long for that is broken into rows, like a text.
import type { Mesh } from "../../record";

const MOST_COLUMNS = 16;

export interface MeshGrid {
  names: readonly string[];
  sizes: readonly number[];
  count: number;
  columns: number;
  rows: number;
  isBroken: boolean;
}

export function gridOf(mesh: Mesh): MeshGrid {
  const names = Object.keys(mesh.dims);
  const sizes = Object.values(mesh.dims);
  const last = sizes.at(-1) ?? 1;
  const count = sizes.reduce((product, size) => product * size, 1);
  const columns = Math.min(last, MOST_COLUMNS);
  return { names, sizes, count, columns, rows: Math.ceil(count / columns), isBroken: columns < last };
}

/** The number of a rank along each dimension. */
export function placeOf(grid: MeshGrid, rank: number): number[] {
  const place: number[] = [];
  let rest = rank;
  for (const size of [...grid.sizes].reverse()) {
    place.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return place;
}

export function placeText(grid: MeshGrid, rank: number): string {
  const place = placeOf(grid, rank);
  return grid.names.map((name, at) => `${name} ${place[at]}`).join(", ");
}

/** Whether two ranks are in one group along a dimension: all their other numbers are equal. */
export function isPeer(grid: MeshGrid, rank: number, other: number, along: string): boolean {
  const [a, b] = [placeOf(grid, rank), placeOf(grid, other)];
  return rank !== other && grid.names.every((name, at) => name === along || a[at] === b[at]);
}

/** The name of a row: its numbers along all dimensions but the last, or its first rank. */
export function rowName(grid: MeshGrid, row: number): string {
  if (grid.isBroken) return String(row * grid.columns);
  const place = placeOf(grid, row * grid.columns).slice(0, -1);
  return place.map((number, at) => `${grid.names[at]} ${number}`).join(", ");
}

export function columnName(grid: MeshGrid, column: number): string {
  return grid.isBroken ? `+ ${column}` : `${grid.names.at(-1)} ${column}`;
}
