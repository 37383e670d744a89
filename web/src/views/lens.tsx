// The logit lens: the prediction of each layer if it were the last.
import { useMemo } from "preact/hooks";
import { tokenChip } from "../tokens";
import { LENS } from "../words/lens";
import { COMMON } from "../words/common";
import { columnsAround, ColumnTurner } from "./common/columns";
import { Lead } from "./common/lead";
import { PositionGrid, type GridCell } from "./common/position_grid";
import { columnOf, rankClass, RANK_CLASSES, type Column } from "./lens/cells";
import { LensDetail } from "./lens/detail";
import type { View, ViewProps } from "./view";

export const lens: View = {
  component: Lens,
  hasData: (_page, prompt) => (prompt.lens?.layers ?? []).length > 0,
};

function Lens(props: ViewProps) {
  const { prompt, state, dispatch, say } = props;
  const result = prompt.lens;
  const columns = useMemo(() => (result?.tokens ?? []).flatMap((_, position) => (result && columnOf(result, position)) ?? []), [result]);
  const column = columns[state.position];
  const token = result?.tokens[state.position];
  if (!result) return null;
  const shown = columnsAround(state.position, columns.length, result.layers.length);
  return (
    <>
      <Lead {...props}>{say(LENS.lead)}</Lead>
      <Legend say={say} />
      <div class="lens-body">
        <div class="lens-main">
          <ColumnTurner columns={shown} dispatch={dispatch} say={say} />
          <PositionGrid
            label={say(LENS.grid)}
            corner={say(COMMON.layer)}
            rows={result.layers.map(({ path }, name) => ({ name, path }))}
            columns={shown}
            tokens={result.tokens}
            chosen={{ row: Math.min(state.layer, result.layers.length - 1), position: state.position }}
            choose={(layer, position) => dispatch({ layer, position })}
            cell={(layer, position) => cellOf(columns[position], layer)}
          />
          <p class="quiet">{say(LENS.head)}</p>
        </div>
        {column && token && <LensDetail {...{ column, token, state, dispatch, say }} />}
      </div>
    </>
  );
}

/** The likeliest token of a layer, and the rank that the layer gives to the model's prediction. */
function cellOf(column: Column | undefined, layer: number): GridCell | null {
  const cell = column?.cells[layer];
  const best = cell?.candidates[0];
  if (!cell || !best) return null;
  const content = (
    <>
      <span class="token-name">{tokenChip(best)}</span>
      <span class="rank">#{cell.rank}</span>
    </>
  );
  return { class: `rank-${rankClass(cell.rank)}`, content };
}

function Legend({ say }: Pick<ViewProps, "say">) {
  return (
    <ul class="legend" aria-label={say(COMMON.rank)}>
      <li>{say(LENS.legend)}</li>
      {RANK_CLASSES.map((most, at) => (
        <li key={most} class="legend-rank">
          <span class={`tint rank-${at}`} /> {rangeText(RANK_CLASSES[at - 1], most)}
        </li>
      ))}
    </ul>
  );
}

function rangeText(before: number | undefined, most: number): string {
  const least = (before ?? 0) + 1;
  if (most === Infinity) return `≥ ${least}`;
  return least === most ? `${least}` : `${least}–${most}`;
}
