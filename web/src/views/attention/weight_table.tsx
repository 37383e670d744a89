// The weights of a head as a table of numbers: a row for each query, a column for each key.
import { tokenChip } from "../../tokens";
import { ATTENTION } from "../../words/attention";
import { useRoving } from "../common/roving";
import { ScrollBox } from "../common/scroll_box";
import { cellText, type EnlargedProps } from "./enlarged";
import type { HeadMatrix } from "./matrix";
import { tint } from "./picture";

export function WeightTable({ matrix, tokens, state, dispatch, say }: EnlargedProps & { matrix: HeadMatrix }) {
  const { active, grid, cell } = useRoving({ row: Math.min(state.position, matrix.size - 1), column: 0 });
  const shown = tokens.slice(0, matrix.size);
  return (
    <>
      <p class="pointed">{cellText(active.row, active.column, matrix, tokens, say)}</p>
      <ScrollBox label={say(ATTENTION.enlarged)}>
        <table class="weight-table" role="grid" aria-label={say(ATTENTION.enlarged)} style={{ "--columns": matrix.size }} {...grid}>
          <thead>
            <tr>
              <th scope="col" class="corner">
                {say(ATTENTION.queryKey)}
              </th>
              {shown.map((token, key) => (
                <th scope="col" key={key}>
                  <span>{tokenChip(token)}</span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((token, query) => (
              <tr key={query} class={query === state.position ? "chosen" : ""} onClick={() => dispatch({ position: query })}>
                <th scope="row">{tokenChip(token)}</th>
                {shown.map((_, key) => (
                  <WeightCell key={key} matrix={matrix} query={query} at={key} say={say} attributes={cell(query, key)} />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollBox>
    </>
  );
}

interface WeightCellProps extends Pick<EnlargedProps, "say"> {
  matrix: HeadMatrix;
  query: number;
  at: number;
  attributes: object;
}

function WeightCell({ matrix, query, at, say, attributes }: WeightCellProps) {
  if (matrix.isMasked(query, at)) {
    return (
      <td class="masked" {...attributes}>
        <span class="visually-hidden">{say(ATTENTION.maskedCell)}</span>
      </td>
    );
  }
  const weight = matrix.weight(query, at);
  return (
    <td {...tint(weight)} {...attributes}>
      {(100 * weight).toFixed(0)}
    </td>
  );
}
