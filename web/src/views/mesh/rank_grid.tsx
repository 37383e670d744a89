// The mesh as a grid of ranks; its cells can be walked through with the arrow keys.
import { useState } from "preact/hooks";
import { readableBytes } from "../../numbers";
import type { Here, Mesh } from "../../record";
import { visible } from "../../visible";
import { MESH } from "../../words/mesh";
import type { Say } from "../../words/say";
import { Bar } from "../common/bar";
import { useRoving } from "../common/roving";
import { ScrollBox } from "../common/scroll_box";
import { columnName, isPeer, placeText, rowName, type MeshGrid } from "./places";

/** Rows that are drawn at once. */
const ROWS = 32;

interface RankGridProps {
  mesh: Mesh;
  grid: MeshGrid;
  /** What is known of each rank, by its number. */
  facts: ReadonlyMap<number, Here>;
  chosen: number;
  choose: (rank: number) => void;
  /** The mesh dimension whose group is marked, and the messages along it. */
  along: string;
  kinds: string;
  say: Say;
}

export function RankGrid({ mesh, grid, facts, chosen, choose, along, kinds, say }: RankGridProps) {
  const [first, setFirst] = useState(() => pageOf(Math.floor(mesh.rank / grid.columns)));
  const start = pageOf(Math.floor(chosen / grid.columns)) === first ? chosen : first * grid.columns;
  const roving = useRoving(cellOf(start, grid), ({ row, column }) => choose(row * grid.columns + column));
  const rows = Array.from({ length: Math.min(ROWS, grid.rows - first) }, (_, at) => first + at);
  const columns = Array.from({ length: grid.columns }, (_, at) => at);
  const most = Math.max(1, ...[...facts.values()].map((here) => here.parameter_bytes ?? 0));
  const cell = (row: number, column: number) => {
    const rank = row * grid.columns + column;
    if (rank >= grid.count) return null;
    const [isHere, bytes] = [rank === mesh.rank, facts.get(rank)?.parameter_bytes];
    const isMarked = along !== "" && isPeer(grid, mesh.rank, rank, along);
    const remarks = [
      ...(bytes == null ? [] : [say(MESH.parameterBytes, { bytes: readableBytes(bytes) })]),
      ...(isHere ? [say(MESH.thisRank)] : []),
      ...(isMarked ? [say(MESH.peer, { kinds, along: visible(along) })] : []),
    ];
    return (
      <td
        key={column}
        class={`${isHere ? "this-rank" : ""}${isMarked ? " peer" : ""}${rank === chosen ? " chosen" : ""}`}
        aria-selected={rank === chosen}
        aria-label={say(MESH.cell, {
          number: rank,
          place: visible(placeText(grid, rank)),
          facts: remarks.map((remark) => `, ${remark}`).join(""),
        })}
        data-follow={rank === chosen || undefined}
        onClick={() => choose(rank)}
        {...roving.cell(row, column)}
      >
        <span class="rank-number">
          {isHere ? "● " : isMarked ? "⇄ " : ""}
          {rank}
        </span>
        {bytes != null && (
          <>
            <span class="rank-bytes">{readableBytes(bytes)}</span>
            <Bar part={bytes / most} />
          </>
        )}
      </td>
    );
  };
  return (
    <>
      <Turner {...{ first, grid, say }} turn={(row) => setFirst(pageOf(row))} />
      <ScrollBox label={say(MESH.grid)} class="mesh-box" follow={`${first} ${chosen}`}>
        <table class="mesh-grid" role="grid" aria-label={say(MESH.grid)} {...roving.grid}>
          <thead>
            <tr>
              <td />
              {columns.map((column) => (
                <th scope="col" key={column}>
                  {visible(columnName(grid, column))}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row}>
                <th scope="row">{visible(rowName(grid, row))}</th>
                {columns.map((column) => cell(row, column))}
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollBox>
    </>
  );
}

function Turner({ first, grid, turn, say }: { first: number; grid: MeshGrid; turn: (row: number) => void; say: Say }) {
  if (grid.rows <= ROWS) return null;
  const end = Math.min(first + ROWS, grid.rows);
  return (
    <p class="turner">
      <button type="button" class="small-button" disabled={first === 0} onClick={() => turn(first - ROWS)}>
        ← {say(MESH.earlier)}
      </button>
      <span>{say(MESH.rows, { first, last: end - 1, count: grid.rows })}</span>
      <button type="button" class="small-button" disabled={end === grid.rows} onClick={() => turn(end)}>
        {say(MESH.later)} →
      </button>
    </p>
  );
}

function pageOf(row: number): number {
  return Math.max(0, Math.floor(row / ROWS) * ROWS);
}

function cellOf(rank: number, grid: MeshGrid) {
  return { row: Math.floor(rank / grid.columns), column: rank % grid.columns };
}
