// The shown positions of a long text: those around the chosen one.
import { COMMON } from "../../words/common";
import type { ViewProps } from "../view";

/** The most cells that are drawn without a delay. */
const CELLS = 1800;
const FEWEST = 12;
const MOST = 48;

export interface Columns {
  first: number;
  /** One more than the last. */
  end: number;
  count: number;
}

/** The positions are turned like pages, the last of which is full; the chosen one is on the page that is shown. */
export function columnsAround(position: number, count: number, rows: number): Columns {
  const width = Math.max(FEWEST, Math.min(MOST, Math.floor(CELLS / Math.max(1, rows))));
  const page = Math.floor(Math.min(position, count - 1) / width) * width;
  const first = Math.max(0, Math.min(page, count - width));
  return { first, end: Math.min(count, first + width), count };
}

/** Buttons to other positions; nothing if all are shown. */
export function ColumnTurner({ columns, dispatch, say }: Pick<ViewProps, "dispatch" | "say"> & { columns: Columns }) {
  const { first, end, count } = columns;
  if (first === 0 && end === count) return null;
  return (
    <p class="turner">
      <button type="button" class="small-button" disabled={first === 0} onClick={() => dispatch({ position: first - 1 })}>
        ← {say(COMMON.earlier)}
      </button>
      <span>{say(COMMON.positions, { first, last: end - 1, count })}</span>
      <button type="button" class="small-button" disabled={end === count} onClick={() => dispatch({ position: end })}>
        {say(COMMON.later)} →
      </button>
    </p>
  );
}
