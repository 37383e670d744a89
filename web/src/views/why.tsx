// Why the last dimension is the size of the vocabulary: x·Wᵀ on real numbers, softmax, and the claims beside it.
import { useMemo } from "preact/hooks";
import type { Projection } from "../record";
import { tokenLabel } from "../tokens";
import { visible } from "../visible";
import { COMMON } from "../words/common";
import { WHY } from "../words/why";
import { Lead } from "./common/lead";
import { grouped, percent } from "./common/numbers";
import type { View, ViewProps } from "./view";
import { explanationOf, OtherTopics, Topics } from "./why/claims";
import { ProductPart } from "./why/product_part";
import { TemperaturePart } from "./why/temperature_part";

export const why: View = {
  component: Why,
  hasData: (page, prompt) => prompt.projection != null || (page.explanations ?? []).length > 0,
};

const ABOUT_PRODUCT = ["last-dim", "projection"];
const ABOUT_PROBABILITIES = ["probabilities", "tying"];

function Why(props: ViewProps) {
  const { page, prompt, state, say } = props;
  const projection = prompt.projection ?? null;
  const explanation = explanationOf(page, state);
  return (
    <>
      <Lead {...props}>{projection ? <LeadSentence {...props} projection={projection} /> : say(WHY.leadWithoutNumbers)}</Lead>
      {projection && <OtherPosition {...props} />}
      <section class="why-part">
        {projection && <ProductPart {...props} projection={projection} />}
        <Topics explanation={explanation} topics={ABOUT_PRODUCT} say={say} />
      </section>
      <section class="why-part">
        {projection && <TemperaturePart key={state.prompt} {...props} projection={projection} />}
        <Topics explanation={explanation} topics={ABOUT_PROBABILITIES} say={say} />
      </section>
      <OtherTopics explanation={explanation} shown={[...ABOUT_PRODUCT, ...ABOUT_PROBABILITIES]} say={say} />
    </>
  );
}

/** How many numbers the last vector has, and how many logits there are. */
export function sizesOf(projection: Projection): { emb: number; vocab: number } {
  const bytes = (base64: string) => (base64.length / 4) * 3 - (base64.match(/=+$/)?.[0].length ?? 0);
  return { emb: bytes(projection.hidden) / 4, vocab: bytes(projection.logits) / 2 };
}

function LeadSentence({ projection, say }: ViewProps & { projection: Projection }) {
  const { emb, vocab } = useMemo(() => sizesOf(projection), [projection]);
  return <>{say(WHY.lead, { emb: grouped(emb), vocab: grouped(vocab), head: visible(projection.path) })}</>;
}

function OtherPosition({ page, prompt, state, dispatch, say }: ViewProps) {
  const last = (page.trace.inputs[state.prompt]?.tokens.length ?? 1) - 1;
  if (state.position === last) return null;
  const best = prompt.lens?.layers.at(-1)?.positions[state.position]?.candidates[0];
  return (
    <p class="note">
      {say(WHY.otherPosition, { last, position: state.position })}
      {say(COMMON.gap)}
      {best && `${say(WHY.otherBest, { token: tokenLabel(best), probability: percent(best.probability) })}`}{" "}
      <button type="button" class="small-button" onClick={() => dispatch({ position: last })}>
        {say(WHY.toLast)}
      </button>
    </p>
  );
}
