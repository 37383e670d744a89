// Roving focus in a grid: one cell can be reached with Tab, the arrow keys lead to the others.
import { useState } from "preact/hooks";

export interface Cell {
  row: number;
  column: number;
}

export interface Roving {
  active: Cell;
  /** For the element around the cells. */
  grid: { onKeyDown: (event: KeyboardEvent) => void; onFocusIn: (event: FocusEvent) => void };
  /** For the element of a cell that takes the focus. */
  cell: (row: number, column: number) => { tabIndex: number; "data-row": number; "data-column": number };
}

const STEPS: Record<string, Cell> = {
  ArrowUp: { row: -1, column: 0 },
  ArrowDown: { row: 1, column: 0 },
  ArrowLeft: { row: 0, column: -1 },
  ArrowRight: { row: 0, column: 1 },
  PageUp: { row: -10, column: 0 },
  PageDown: { row: 10, column: 0 },
  Home: { row: 0, column: -Infinity },
  End: { row: 0, column: Infinity },
};

/** Holds the active cell; the focus enters at `start`, and later at the last active cell. */
export function useRoving(start: Cell, onFocus?: (cell: Cell) => void): Roving {
  const [focused, setFocused] = useState<Cell | null>(null);
  const active = focused ?? start;
  const onKeyDown = (event: KeyboardEvent) => {
    const step = STEPS[event.key];
    const from = cellOf(event.target);
    if (!step || !from || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    target(event.currentTarget as HTMLElement, from, step)?.focus();
  };
  const onFocusIn = (event: FocusEvent) => {
    const cell = cellOf(event.target);
    if (!cell) return;
    setFocused(cell);
    onFocus?.(cell);
  };
  return {
    active,
    grid: { onKeyDown, onFocusIn },
    cell: (row, column) => ({
      tabIndex: row === active.row && column === active.column ? 0 : -1,
      "data-row": row,
      "data-column": column,
    }),
  };
}

function cellOf(target: EventTarget | null): Cell | null {
  const element = target instanceof HTMLElement ? target : null;
  if (element?.dataset.row === undefined || element.dataset.column === undefined) return null;
  return { row: Number(element.dataset.row), column: Number(element.dataset.column) };
}

/** The cell that a step leads to, or the nearest one in its direction; a grid may have holes. */
function target(grid: HTMLElement, from: Cell, step: Cell): HTMLElement | undefined {
  const along = step.row === 0 ? "column" : "row";
  const way = Math.sign(step[along]);
  const fixed = along === "row" ? `[data-column="${from.column}"][data-row]` : `[data-row="${from.row}"][data-column]`;
  const ahead = [...grid.querySelectorAll<HTMLElement>(fixed)]
    .map((element) => ({ element, distance: way * (Number(element.dataset[along]) - from[along]) }))
    .filter(({ distance }) => distance > 0)
    .sort((a, b) => a.distance - b.distance);
  const reach = Math.abs(step[along]);
  const inReach = ahead.filter(({ distance }) => distance <= reach);
  return (inReach.at(-1) ?? ahead[0])?.element;
}
