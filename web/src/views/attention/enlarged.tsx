// One head, large: tokens on both axes, and the weights of the chosen token.
import { useEffect, useRef, useState } from "preact/hooks";
import type { AttentionMap, HeadWeights, Token } from "../../record";
import { tokenChip, tokenLabel } from "../../tokens";
import { visible } from "../../visible";
import { ATTENTION } from "../../words/attention";
import { decimal, share } from "../common/numbers";
import { ScrollBox } from "../common/scroll_box";
import type { ViewProps } from "../view";
import { QueryRow } from "./grid";
import { evenWeight, habitsOf, HABITS, matrixOf, type HeadMatrix } from "./matrix";
import { HeadPicture } from "./picture";
import { QueryWeights } from "./query_weights";
import { WeightTable } from "./weight_table";

export interface EnlargedProps extends Pick<ViewProps, "state" | "dispatch" | "say"> {
  map: AttentionMap;
  head: HeadWeights;
  number: number;
  tokens: readonly Token[];
  close: () => void;
}

/** The most tokens for which each weight is a table cell with its number. */
const TABLE_TOKENS = 16;
/** Side of a square in a larger picture, in CSS pixels. */
const SQUARE = 14;

export function Enlarged(props: EnlargedProps) {
  const { map, head, number, tokens, state, close, say } = props;
  const matrix = matrixOf(map, head);
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => title.current?.focus(), [map, number]);
  return (
    <section class="enlarged" aria-labelledby="enlarged-title">
      <div class="enlarged-head">
        <h3 id="enlarged-title" ref={title} tabIndex={-1}>
          {say(ATTENTION.headOf, { path: visible(map.path), number })}
        </h3>
        <span class="quiet">{say(ATTENTION.entropy, { entropy: decimal(head.entropy, 2) })}</span>
        <button type="button" class="small-button" onClick={close}>
          {say(ATTENTION.close)} <kbd>Esc</kbd>
        </button>
      </div>
      <HabitsSentence map={map} matrix={matrix} say={say} />
      <div class="enlarged-body">
        <div class="enlarged-picture">
          {matrix.size <= TABLE_TOKENS ? <WeightTable {...props} matrix={matrix} /> : <WeightPicture {...props} matrix={matrix} />}
        </div>
        <QueryWeights matrix={matrix} tokens={tokens} position={state.position} say={say} />
      </div>
    </section>
  );
}

function HabitsSentence({ map, matrix, say }: { map: AttentionMap; matrix: HeadMatrix; say: ViewProps["say"] }) {
  const habits = habitsOf(matrix);
  if (Number.isNaN(habits.first)) return null;
  const shares = Object.fromEntries(HABITS.map((habit) => [habit, share(habits[habit])]));
  return <p class="quiet">{say(ATTENTION.habits, { ...shares, even: share(evenWeight(map, matrix.size)) })}</p>;
}

/** For many tokens: one picture, with the tokens beside it and above it. */
function WeightPicture({ matrix, tokens, state, dispatch, say }: EnlargedProps & { matrix: HeadMatrix }) {
  const [pointed, setPointed] = useState<{ query: number; key: number } | null>(null);
  const size = matrix.size * SQUARE;
  const at = (event: MouseEvent) => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const place = (part: number) => Math.max(0, Math.min(matrix.size - 1, Math.floor(part / SQUARE)));
    return { query: place(event.clientY - box.top), key: place(event.clientX - box.left) };
  };
  const axis = (chosen: number | null) =>
    tokens.slice(0, matrix.size).map((token, position) => (
      <span key={position} class={position === chosen ? "chosen" : ""}>
        {tokenChip(token)}
      </span>
    ));
  return (
    <>
      <p class="pointed">{pointed ? cellText(pointed.query, pointed.key, matrix, tokens, say) : say(ATTENTION.queryKey)}</p>
      <ScrollBox label={say(ATTENTION.enlarged)} class="weight-picture" follow={state.position}>
        <div class="weight-axes" style={{ "--square": `${SQUARE}px`, "--size": `${size}px`, "--columns": matrix.size }}>
          <div class="axis-corner" />
          <div class="axis-keys" aria-hidden="true">
            {axis(null)}
          </div>
          <div class="axis-queries" aria-hidden="true">
            {axis(state.position)}
          </div>
          <div
            class="head-frame"
            onPointerMove={(event) => setPointed(at(event))}
            onPointerLeave={() => setPointed(null)}
            onClick={(event) => dispatch({ position: at(event).query })}
          >
            <HeadPicture matrix={matrix} pixels={size} />
            <QueryRow position={state.position} count={matrix.size} />
          </div>
        </div>
      </ScrollBox>
    </>
  );
}

export function cellText(query: number, key: number, matrix: HeadMatrix, tokens: readonly Token[], say: ViewProps["say"]): string {
  const name = (position: number) => {
    const token = tokens[position];
    return token ? `${position} ${tokenLabel(token)}` : String(position);
  };
  const weight = matrix.isMasked(query, key) ? say(ATTENTION.maskedCell) : share(matrix.weight(query, key));
  return say(ATTENTION.cell, { query: name(query), key: name(key), share: weight });
}
