// The claims of `gptrace explain`, each with ✓ or ✗ and its measurement.
import type { Claim, Explanation, Page, Topic } from "../../record";
import type { State } from "../../state";
import { visible } from "../../visible";
import type { Say } from "../../words/say";
import { WHY } from "../../words/why";

interface ClaimsProps {
  explanation: Explanation | null;
  say: Say;
}

/** The explanation in the language of the state, or else in the only one there is. */
export function explanationOf(page: Page, state: State): Explanation | null {
  const explanations = page.explanations ?? [];
  return explanations.find((one) => one.language === state.language) ?? explanations[0] ?? null;
}

export function Topics({ explanation, topics, say }: ClaimsProps & { topics: readonly string[] }) {
  const shown = explanation?.topics.filter((topic) => topics.includes(topic.topic)) ?? [];
  if (!explanation || shown.length === 0) return null;
  return (
    <div class="claims" lang={languageTag(explanation)}>
      <h3>{say(WHY.claims)}</h3>
      {shown.map((topic) => (
        <TopicClaims key={topic.topic} topic={topic} say={say} />
      ))}
    </div>
  );
}

/** The other topics, folded. */
export function OtherTopics({ explanation, shown, say }: ClaimsProps & { shown: readonly string[] }) {
  const others = explanation?.topics.filter((topic) => !shown.includes(topic.topic)) ?? [];
  if (!explanation || others.length === 0) return null;
  return (
    <details class="other-claims" lang={languageTag(explanation)}>
      <summary>{say(WHY.otherClaims)}</summary>
      <div class="claims-columns">
        {others.map((topic) => (
          <TopicClaims key={topic.topic} topic={topic} say={say} />
        ))}
      </div>
    </details>
  );
}

function TopicClaims({ topic, say }: { topic: Topic; say: Say }) {
  const held = topic.claims.filter((claim) => claim.holds === true).length;
  return (
    <section class="claims-topic">
      <h4>
        {visible(topic.title)} <span class="quiet">{say(WHY.tally, { held, count: topic.claims.length })}</span>
      </h4>
      <ul>
        {topic.claims.map((claim) => (
          <ClaimItem key={claim.key} claim={claim} say={say} />
        ))}
      </ul>
    </section>
  );
}

function ClaimItem({ claim, say }: { claim: Claim; say: Say }) {
  const verdict = claim.holds === true ? "holds" : claim.holds === false ? "fails" : "open";
  return (
    <li class={`claim claim-${verdict}`}>
      <span class="claim-mark" aria-hidden="true">
        {{ holds: "✓", fails: "✗", open: "–" }[verdict]}
      </span>
      <div>
        <span class="visually-hidden">{say(WHY[verdict])}: </span>
        <WithCode text={claim.text} />
        {claim.measured && (
          <p class="measured">
            <WithCode text={claim.measured} />
          </p>
        )}
        {claim.source && (
          <p class="measured">
            {visible(claim.source.file)}:{claim.source.line} <code>{visible(claim.source.text.trim())}</code>
          </p>
        )}
      </div>
    </li>
  );
}

/** Text in which `names` stand between backticks. */
function WithCode({ text }: { text: string }) {
  return (
    <>
      {text.split(/`([^`\n]+)`/).map((part, at) => (at % 2 ? <code key={at}>{visible(part)}</code> : visible(part)))}
    </>
  );
}

function languageTag(explanation: Explanation): string {
  return explanation.language === "zh" ? "zh-CN" : "en";
}
