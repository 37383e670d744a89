// All heads as small pictures: a row for each layer, a column for each head.
import { useMemo } from "preact/hooks";
import type { AttentionMap, HeadWeights } from "../../record";
import { visible } from "../../visible";
import { ATTENTION } from "../../words/attention";
import { COMMON } from "../../words/common";
import { decimal } from "../common/numbers";
import { useRoving } from "../common/roving";
import { ScrollBox } from "../common/scroll_box";
import type { ViewProps } from "../view";
import { matrixOf } from "./matrix";
import { rowOf, type Places } from "./places";
import { HeadPicture } from "./picture";

interface HeadGridProps extends Pick<ViewProps, "state" | "say"> {
  places: Places;
  open: (layer: number, number: number) => void;
}

/** Pictures are drawn for the largest size that the style shows them at. */
const PIXELS = 160;

function sizeClass(columns: number): string {
  return columns <= 8 ? "heads-few" : columns <= 16 ? "heads-some" : "heads-many";
}

export function HeadGrid({ places, state, say, open }: HeadGridProps) {
  const { maps, layers } = places;
  const chosenRow = rowOf(places, state.layer);
  const numbers = useMemo(() => [...new Set(maps.flatMap((map) => map.numbers))].sort((a, b) => a - b), [maps]);
  const column = state.head === null ? 0 : Math.max(0, numbers.indexOf(state.head));
  const roving = useRoving({ row: chosenRow, column });
  return (
    <ScrollBox label={say(ATTENTION.heads)} class="head-grid-box">
      <table class={`head-grid ${sizeClass(numbers.length)}`} role="grid" aria-label={say(ATTENTION.heads)} style={{ "--columns": numbers.length }} {...roving.grid}>
        <thead>
          <tr>
            <th scope="col">{say(COMMON.layer)}</th>
            {numbers.map((number) => (
              <th scope="col" key={number}>
                {say(ATTENTION.headShort, { number })}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {maps.map((map, row) => (
            <tr key={row}>
              <th scope="row">
                {layers[row]}
                <span class="quiet">{visible(map.path)}</span>
              </th>
              {numbers.map((number, at) => {
                const head = map.heads[map.numbers.indexOf(number)];
                const isChosen = state.head === number && row === chosenRow;
                const layer = layers[row] ?? row;
                return (
                  <td key={number}>
                    {head && (
                      <HeadButton
                        {...{ map, head, layer, number, say, isChosen }}
                        open={() => open(layer, number)}
                        cell={roving.cell(row, at)}
                        position={state.position}
                      />
                    )}
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

interface HeadButtonProps extends Pick<ViewProps, "say"> {
  map: AttentionMap;
  head: HeadWeights;
  layer: number;
  number: number;
  position: number;
  isChosen: boolean;
  open: () => void;
  cell: ReturnType<ReturnType<typeof useRoving>["cell"]>;
}

function HeadButton({ map, head, layer, number, position, isChosen, open, cell, say }: HeadButtonProps) {
  const matrix = matrixOf(map, head);
  const entropy = decimal(head.entropy, 2);
  return (
    <button
      type="button"
      class="head-button"
      id={`head-${layer}-${number}`}
      aria-pressed={isChosen}
      aria-label={say(ATTENTION.headLabel, { layer, number, entropy })}
      onClick={open}
      {...cell}
    >
      <span class="head-frame">
        <HeadPicture matrix={matrix} pixels={PIXELS} />
        <QueryRow position={position} count={matrix.size} />
      </span>
      <span class="head-entropy">{entropy}</span>
    </button>
  );
}

/** With more tokens, a row is so thin that a thick frame would hide it. */
const MANY = 40;

/** A frame around the row of the chosen token; a box that scrolls follows its own key. */
export function QueryRow({ position, count }: { position: number; count: number }) {
  if (position >= count) return null;
  const [part, start] = [`${100 / count}%`, `${(100 * position) / count}%`];
  return (
    <span class={count > MANY ? "query-row query-row-thin" : "query-row"} style={{ top: start, height: part }}>
      <span class="own-key" data-follow style={{ left: start, width: part }} />
    </span>
  );
}
