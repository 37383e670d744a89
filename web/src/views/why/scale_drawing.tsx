// x, W and the logits with their true proportions, and lines from rows of W to their numbers beside it.
import { axisClass } from "../../axes";

/** Lengths are in sixteenths of a rem: pixels, unless the page is written larger. */
export const HEAD_HEIGHT = 40;
export const ROW_HEIGHT = 54;
const WIDTH = 92;
const WIDEST = 40;
const LEFT = 14;
const GAP = 3;
/** Nothing is drawn thinner than this, or it would not be seen. */
const THINNEST = 1.5;

export function rem(length: number): string {
  return `${length / 16}rem`;
}

interface ScaleDrawingProps {
  emb: number;
  vocab: number;
  /** Names of the two axes. */
  embName: string;
  vocabName: string;
  /** Ids of the rows beside it, from the top. */
  ids: readonly number[];
  chosen: number;
  label: string;
}

export function ScaleDrawing({ emb, vocab, embName, vocabName, ids, chosen, label }: ScaleDrawingProps) {
  const rowsHeight = ids.length * ROW_HEIGHT;
  const scale = Math.min((rowsHeight - 4) / vocab, WIDEST / emb);
  const width = Math.max(THINNEST, emb * scale);
  const height = Math.max(THINNEST, vocab * scale);
  const thin = Math.max(THINNEST, scale);
  const logits = LEFT + width + GAP;
  return (
    <svg
      class="scale-drawing"
      viewBox={`0 0 ${WIDTH} ${HEAD_HEIGHT + rowsHeight}`}
      style={{ width: rem(WIDTH), height: rem(HEAD_HEIGHT + rowsHeight) }}
      role="img"
      aria-label={label}
    >
      <text class={axisClass(embName)} x={LEFT + width / 2} y={HEAD_HEIGHT - 14} text-anchor="middle">
        x
      </text>
      <rect class={`${axisClass(embName)} filled`} x={LEFT} y={HEAD_HEIGHT - 8} width={width} height={thin} />
      <rect class="matrix" x={LEFT} y={HEAD_HEIGHT} width={width} height={height} />
      <text class={axisClass(vocabName)} x={LEFT - 4} y={HEAD_HEIGHT + 10} text-anchor="end">
        W
      </text>
      <rect class={`${axisClass(vocabName)} filled`} x={logits} y={HEAD_HEIGHT} width={thin} height={height} />
      {ids.map((id, at) => {
        const from = HEAD_HEIGHT + (id + 0.5) * scale;
        const to = HEAD_HEIGHT + (at + 0.5) * ROW_HEIGHT;
        return (
          <path
            key={id}
            class={id === chosen ? "to-row to-row-chosen" : "to-row"}
            d={`M${LEFT} ${from}H${logits + thin}L${WIDTH - 10} ${to}H${WIDTH}`}
          />
        );
      })}
    </svg>
  );
}
