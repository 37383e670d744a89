// x·Wᵀ: W to scale, the candidates' rows with their products, and how one row becomes a logit.
import { useMemo, useState } from "preact/hooks";
import { Shape } from "../../parts/shape";
import type { Page, Projection } from "../../record";
import { tokenLabel } from "../../tokens";
import { COMMON } from "../../words/common";
import { WHY } from "../../words/why";
import { decimal, digits, grouped } from "../common/numbers";
import { ScrollBox } from "../common/scroll_box";
import type { ViewProps } from "../view";
import { Bars, rangeOf, type Range } from "./bars";
import { greatest, productsOf, type RowProduct } from "./product";
import { HEAD_HEIGHT, rem, ROW_HEIGHT, ScaleDrawing } from "./scale_drawing";

type PartProps = ViewProps & { projection: Projection };

export function ProductPart({ page, projection, say }: PartProps) {
  const { hidden, rows } = useMemo(() => productsOf(projection), [projection]);
  const [chosenId, choose] = useState<number | null>(null);
  const first = rows.find((row) => row.rank === 1);
  const chosen = rows.find((row) => row.id === chosenId) ?? first;
  const names = axisNames(page, projection, hidden.length);
  const range = useMemo(() => rangeOf(rows.flatMap((row) => Object.values(rangeOf(row.products)))), [rows]);
  if (!chosen) return null;
  const sizes = { emb: grouped(hidden.length), vocab: grouped(names.vocab) };
  return (
    <div class="why-picture">
      <h3>{say(WHY.product)}</h3>
      <p class="formula">
        x <Shape dims={[names.embName]} shape={[hidden.length]} /> · Wᵀ, W{" "}
        <Shape dims={[names.vocabName, names.embName]} shape={[names.vocab, hidden.length]} /> → logits{" "}
        <Shape dims={[names.vocabName]} shape={[names.vocab]} />
      </p>
      <p class="quiet">{say(WHY.scale, sizes)}</p>
      <div class="rows-of-w">
        <ScaleDrawing {...names} emb={hidden.length} ids={rows.map((row) => row.id)} chosen={chosen.id} label={say(WHY.drawing, sizes)} />
        <table style={{ "--head-height": rem(HEAD_HEIGHT), "--row-height": rem(ROW_HEIGHT) }}>
          <caption class="visually-hidden">{say(WHY.rows)}</caption>
          <thead>
            <tr>
              <th scope="col">{say(WHY.row)}</th>
              <th scope="col" class="column-products">
                {say(WHY.products)}
              </th>
              <th scope="col" class="number">
                {say(WHY.logit)}
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <ProductRow key={row.id} row={row} range={range} isChosen={row === chosen} say={say} choose={() => choose(row.id)} />
            ))}
          </tbody>
        </table>
      </div>
      <Detail row={chosen} hidden={hidden} say={say} />
    </div>
  );
}

interface ProductRowProps {
  row: RowProduct;
  range: Range;
  isChosen: boolean;
  say: ViewProps["say"];
  choose: () => void;
}

function ProductRow({ row, range, isChosen, say, choose }: ProductRowProps) {
  return (
    <tr class={isChosen ? "chosen" : ""} onClick={choose}>
      <th scope="row">
        <button type="button" aria-pressed={isChosen} title={say(WHY.choose, { token: tokenLabel(row.token) })} onClick={choose}>
          <span class="token-name">{tokenLabel(row.token)}</span>
          <span class="quiet">{say(WHY.rowNumber, { id: grouped(row.id) })}</span>
        </button>
      </th>
      <td class="column-products">
        <span class="visually-hidden">{say(WHY.productsText, { count: row.products.length, ...extremes(row.products) })}</span>
        <Bars numbers={row.products} range={range} />
      </td>
      <td class="number">
        <strong>{decimal(row.logit)}</strong>
        <span class="quiet">
          {say(COMMON.rank)} {row.rank}
        </span>
      </td>
    </tr>
  );
}

/** x, the row, the products and their running sum, one above the other. */
function Detail({ row, hidden, say }: { row: RowProduct; hidden: Float32Array; say: ViewProps["say"] }) {
  const strips = [
    { name: say(WHY.x), numbers: hidden },
    { name: say(WHY.ofW, { id: grouped(row.id) }), numbers: row.weights },
    { name: say(WHY.product1), numbers: row.products },
  ];
  const label = say(WHY.detail, { token: tokenLabel(row.token) });
  return (
    <div class="row-detail">
      <h4>{label}</h4>
      <ScrollBox label={label}>
        <div class="strips" style={{ "--numbers": hidden.length }}>
          {strips.map(({ name, numbers }) => (
            <figure key={name}>
              <figcaption>{say(WHY.strip, { name, count: numbers.length, ...extremes(numbers) })}</figcaption>
              <Bars numbers={numbers} range={rangeOf(numbers)} />
            </figure>
          ))}
          <RunningSum row={row} name={say(WHY.running)} />
        </div>
      </ScrollBox>
      <SumInWords row={row} hidden={hidden} say={say} />
    </div>
  );
}

function RunningSum({ row, name }: { row: RowProduct; name: string }) {
  let sum = 0;
  const sums = Array.from(row.products, (product) => (sum += product));
  const low = Math.min(0, ...sums);
  const high = Math.max(0, ...sums);
  const y = (value: number) => ((high - value) / (high - low || 1)).toFixed(4);
  const line = sums.map((value, at) => `${at ? "L" : "M0 " + y(0) + "L"}${at + 1} ${y(value)}`).join("");
  return (
    <figure>
      <figcaption>
        {name}: <strong>{decimal(sum)}</strong>
      </figcaption>
      <svg class="bars running-sum" viewBox={`0 -0.05 ${sums.length} 1.1`} preserveAspectRatio="none" aria-hidden="true">
        <line class="bars-zero" x1="0" x2={sums.length} y1={y(0)} y2={y(0)} vector-effect="non-scaling-stroke" />
        <path d={line} vector-effect="non-scaling-stroke" />
      </svg>
    </figure>
  );
}

function SumInWords({ row, hidden, say }: { row: RowProduct; hidden: Float32Array; say: ViewProps["say"] }) {
  const terms = greatest(row.products, 3).map((index) =>
    say(WHY.term, { index, x: decimal(hidden[index]), weight: decimal(row.weights[index]), product: decimal(row.products[index]) }),
  );
  const values = { count: row.products.length, positive: decimal(row.positive), negative: decimal(row.negative) };
  const difference = Math.abs(row.sum - row.logit);
  const gap = say(COMMON.gap);
  return (
    <p>
      {say(WHY.sums, values)}
      {gap}
      {row.bias === 0 ? say(WHY.withoutBias, { sum: decimal(row.sum) }) : say(WHY.withBias, { bias: decimal(row.bias), sum: decimal(row.sum) })}
      {gap}
      {say(WHY.model, { logit: decimal(row.logit) })}
      {gap}
      {say(WHY.differs, { difference: digits(difference, 2) })}
      <br />
      <span class="quiet">
        {say(WHY.terms)}
        {terms.join(" · ")}
      </span>
    </p>
  );
}

function extremes(numbers: ArrayLike<number>): { least: string; most: string } {
  const all = Array.from(numbers);
  return { least: decimal(Math.min(...all), 2), most: decimal(Math.max(...all), 2) };
}

/** The names that the trace proved for the head's input and output; a size in digits where there is none. */
function axisNames(page: Page, projection: Projection, emb: number): { embName: string; vocabName: string; vocab: number } {
  const call = page.trace.calls.find((one) => one.path === projection.path);
  const [taken, given] = [call?.inputs[0], call?.outputs[0]];
  const vocab = given?.shape.at(-1) ?? page.trace.logits_per_position ?? 0;
  return { embName: taken?.dims.at(-1) ?? String(emb), vocabName: given?.dims.at(-1) ?? String(vocab), vocab };
}
