// Attention: every head as a small picture, and one of them large.
import { useEffect, useMemo } from "preact/hooks";
import type { AttentionMap } from "../record";
import { tokenLabel } from "../tokens";
import { ATTENTION } from "../words/attention";
import { Enlarged } from "./attention/enlarged";
import { HeadGrid } from "./attention/grid";
import { evenEntropy, evenWeight, habitsOf, HABITS, matrixOf, type Habits } from "./attention/matrix";
import { tint } from "./attention/picture";
import { placesOf, rowOf, type Places } from "./attention/places";
import { Lead } from "./common/lead";
import { decimal, digits, share } from "./common/numbers";
import type { View, ViewProps } from "./view";

export const attention: View = {
  component: Attention,
  hasData: (_page, prompt) => (prompt.attention ?? []).length > 0,
};

function Attention(props: ViewProps) {
  const { page, prompt, state, dispatch, say } = props;
  const maps = useMemo(() => prompt.attention ?? [], [prompt]);
  const tokens = page.trace.inputs[state.prompt]?.tokens ?? [];
  const places = useMemo(() => placesOf(maps), [maps]);
  const row = rowOf(places, state.layer);
  const map = maps[row];
  const head = state.head === null ? undefined : map?.heads[map.numbers.indexOf(state.head)];
  // A head whose rows do not sum to 1 has no entropy.
  const sumsToOne = maps.every((one) => one.heads.every(({ entropy }) => entropy !== null));
  const close = () => {
    const button = document.getElementById(`head-${places.layers[row]}-${state.head}`);
    dispatch({ head: null });
    button?.focus();
  };
  useEscape(head ? close : null);
  const open = (layer: number, number: number) => dispatch({ layer, head: number });
  return (
    <>
      <Lead {...props}>{say(sumsToOne ? ATTENTION.lead : ATTENTION.leadWithoutSum)}</Lead>
      {map && head && state.head !== null && (
        <Enlarged {...{ map, head, tokens, state, dispatch, say, close }} number={state.head} />
      )}
      <Legend {...props} maps={maps} />
      <Superlatives places={places} say={say} open={open} />
      <HeadGrid {...{ places, state, say, open }} />
      <Facts maps={maps} say={say} />
    </>
  );
}

/** Escape closes the large head, wherever the focus is in the page, before it does anything else. */
function useEscape(run: (() => void) | null): void {
  useEffect(() => {
    if (!run) return;
    const press = (event: KeyboardEvent) => {
      const isInDialog = event.target instanceof Element && event.target.closest("dialog, [role=dialog]");
      if (event.key !== "Escape" || isInDialog) return;
      event.preventDefault();
      run();
    };
    addEventListener("keydown", press, { capture: true });
    return () => removeEventListener("keydown", press, { capture: true });
  }, [run]);
}

const SAMPLES = [0.01, 0.1, 0.25, 0.5, 1];

function Legend({ page, state, say, maps }: ViewProps & { maps: readonly AttentionMap[] }) {
  const token = page.trace.inputs[state.prompt]?.tokens[state.position];
  const windows = [...new Set(maps.flatMap((map) => map.window || []))].sort((a, b) => a - b);
  const mask = windows.length > 0 ? say(ATTENTION.maskedWindow, { windows: windows.join(" / ") }) : say(ATTENTION.masked);
  return (
    <ul class="legend">
      <li>
        {say(ATTENTION.legend)}{" "}
        {SAMPLES.map((weight) => (
          <span key={weight} class="legend-step">
            <span {...tint(weight, "tint")} /> {share(weight)}
          </span>
        ))}
      </li>
      {maps.some((map) => map.is_causal) && (
        <li>
          <span class="tint masked" /> {mask}
        </li>
      )}
      {token && (
        <li>
          <span class="tint row-frame" /> {say(ATTENTION.chosenRow, { token: tokenLabel(token) })}
        </li>
      )}
    </ul>
  );
}

interface Best {
  layer: number;
  number: number;
  share: number;
}

function Superlatives({ places, say, open }: Pick<ViewProps, "say"> & { places: Places; open: (layer: number, number: number) => void }) {
  const { maps } = places;
  const best = useMemo(() => bestHeads(places), [places]);
  const size = sizeOf(maps);
  if (!maps[0] || Number.isNaN(evenWeight(maps[0], size))) return null;
  return (
    <div class="superlatives">
      <p>{say(ATTENTION.most)}</p>
      <ul>
        {HABITS.map((habit) => {
          const { layer, number, share: part } = best[habit];
          return (
            <li key={habit}>
              {say(ATTENTION[habit])}{" "}
              <button type="button" class="small-button" onClick={() => open(layer, number)}>
                {say(ATTENTION.mostHead, { layer, number, share: share(part) })}
              </button>
            </li>
          );
        })}
      </ul>
      <p class="quiet">{say(ATTENTION.even, { even: share(evenWeight(maps[0], size)) })}</p>
    </div>
  );
}

/** The head that has each habit most. */
function bestHeads({ maps, layers }: Places): Record<keyof Habits, Best> {
  const best = { previous: none(), first: none(), self: none() };
  maps.forEach((map, row) =>
    map.heads.forEach((head, at) => {
      const habits = habitsOf(matrixOf(map, head));
      for (const habit of HABITS) {
        if (habits[habit] > best[habit].share) best[habit] = { layer: layers[row] ?? row, number: map.numbers[at] ?? at, share: habits[habit] };
      }
    }),
  );
  return best;
}

function none(): Best {
  return { layer: 0, number: 0, share: -1 };
}

function sizeOf(maps: readonly AttentionMap[]): number {
  const [map] = maps;
  const head = map?.heads[0];
  return map && head ? matrixOf(map, head).size : 0;
}

/** The origin of the weights, and the meaning of the numbers under the pictures. */
function Facts({ maps, say }: Pick<ViewProps, "say"> & { maps: readonly AttentionMap[] }) {
  const [map] = maps;
  if (!map) return null;
  const recomputed = maps.filter((one) => one.is_recomputed);
  const differences = recomputed.map((one) => one.difference).filter((difference) => difference != null);
  const isCompared = differences.length === recomputed.length;
  return (
    <div class="facts">
      <p>{say(ATTENTION.entropyIs, { even: decimal(evenEntropy(map, sizeOf(maps)), 2) })}</p>
      {recomputed.length > 0 && (
        <p>{isCompared ? say(ATTENTION.recomputed, { difference: digits(Math.max(...differences), 2) }) : say(ATTENTION.recomputedOnly)}</p>
      )}
      <p class="quiet">{say(ATTENTION.rounded)}</p>
    </div>
  );
}
