// A table with a column for each position and a row for each step of the model; its cells can be walked through.
import type { ComponentChildren } from "preact";
import type { Token } from "../../record";
import { tokenChip } from "../../tokens";
import { visible } from "../../visible";
import type { Columns } from "./columns";
import { useRoving } from "./roving";
import { useRowsInSteps } from "./rows_in_steps";
import { ScrollBox } from "./scroll_box";

export interface GridRow {
  name: string | number;
  path: string;
}

export interface GridCell {
  class?: string;
  style?: Record<string, string>;
  content: ComponentChildren;
}

interface PositionGridProps {
  label: string;
  /** Stands above the names of the rows. */
  corner: string;
  rows: readonly GridRow[];
  columns: Columns;
  tokens: readonly Token[];
  chosen: { row: number; position: number };
  choose: (row: number, position: number) => void;
  cell: (row: number, position: number) => GridCell | null;
}

export function PositionGrid({ label, corner, rows, columns, tokens, chosen, choose, cell }: PositionGridProps) {
  const roving = useRoving({ row: chosen.row, column: chosen.position }, ({ row, column }) => {
    if (row !== chosen.row || column !== chosen.position) choose(row, column);
  });
  const drawn = useRowsInSteps(rows.length, chosen.row);
  const positions = Array.from({ length: columns.end - columns.first }, (_, at) => columns.first + at);
  return (
    <ScrollBox label={label} class="position-box" follow={`${chosen.row} ${chosen.position}`}>
      <table class="position-grid" role="grid" aria-label={label} style={{ "--columns": positions.length }} {...roving.grid}>
        <thead>
          <tr>
            <th scope="col">{corner}</th>
            {positions.map((position) => (
              <th scope="col" key={position} class={position === chosen.position ? "chosen" : ""}>
                <span class="quiet">{position}</span>
                <span class="token-name">{tokens[position] && tokenChip(tokens[position])}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, drawn).map(({ name, path }, row) => (
            <tr key={row}>
              <th scope="row" class={row === chosen.row ? "chosen" : ""}>
                {name}
                <span class="quiet">{visible(path)}</span>
              </th>
              {positions.map((position) => {
                const shown = cell(row, position);
                const isChosen = row === chosen.row && position === chosen.position;
                return (
                  <td
                    key={position}
                    class={`${shown?.class ?? ""}${isChosen ? " chosen" : ""}`}
                    style={shown?.style}
                    aria-selected={isChosen}
                    data-follow={isChosen || undefined}
                    onClick={() => choose(row, position)}
                    {...roving.cell(row, position)}
                  >
                    {shown?.content}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollBox>
  );
}
