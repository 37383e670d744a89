// The loss: the text tinted by surprisal, and the mean loss of the whole text.
import type { LossResult, ScoredToken } from "../record";
import { tokenChip, tokenLabel } from "../tokens";
import { COMMON } from "../words/common";
import { LOSS } from "../words/loss";
import { Bar } from "./common/bar";
import { Lead } from "./common/lead";
import { decimal, digits, grouped, percent } from "./common/numbers";
import { useRoving } from "./common/roving";
import { ScrollBox } from "./common/scroll_box";
import { LEAST, surprisal, surprise } from "./loss/classes";
import type { View, ViewProps } from "./view";

export const loss: View = {
  component: Loss,
  hasData: (_page, prompt) => (prompt.loss?.tokens ?? []).some((token) => token.log_probability !== undefined),
};

function Loss(props: ViewProps) {
  const { prompt, state, say } = props;
  const result = prompt.loss;
  if (!result) return null;
  const token = result.tokens[state.position];
  return (
    <>
      <Lead {...props}>{say(LOSS.lead)}</Lead>
      <Legend say={say} />
      <TintedText {...props} tokens={result.tokens} />
      {token && <Chosen {...props} token={token} />}
      <div class="loss-body">
        <Whole {...props} result={result} />
        <LeastExpected {...props} tokens={result.tokens} />
      </div>
      <details class="loss-all">
        <summary>{say(LOSS.table)}</summary>
        <TokenTable tokens={result.tokens} say={say} />
      </details>
    </>
  );
}

function Legend({ say }: Pick<ViewProps, "say">) {
  const range = (at: number) => {
    const [least, most] = [LEAST[at] ?? 0, LEAST[at - 1]];
    if (most === undefined) return `≥ ${100 * least} %`;
    return least === 0 ? `< ${100 * most} %` : `${100 * least}–${100 * most} %`;
  };
  return (
    <ul class="legend">
      <li>{say(LOSS.legend)}</li>
      {LEAST.map((_, at) => (
        <li key={at} class="legend-rank">
          <span class={`scored surprise-${at}`}>{range(at)}</span>
        </li>
      ))}
    </ul>
  );
}

function TintedText({ tokens, state, dispatch, say }: ViewProps & { tokens: readonly ScoredToken[] }) {
  const { grid, cell } = useRoving({ row: 0, column: state.position }, ({ column }) => column !== state.position && dispatch({ position: column }));
  return (
    <div class="loss-text" role="group" aria-label={say(LOSS.text)} {...grid}>
      {tokens.map((token, position) => (
        <TokenButton
          key={position}
          token={token}
          isChosen={position === state.position}
          attributes={cell(0, position)}
          choose={() => dispatch({ position })}
        />
      ))}
    </div>
  );
}

interface TokenButtonProps {
  token: ScoredToken;
  isChosen: boolean;
  attributes: object;
  choose: () => void;
}

function TokenButton({ token, isChosen, attributes, choose }: TokenButtonProps) {
  const facts = token.probability == null ? "" : `${percent(token.probability)}, #${token.rank ?? "?"}`;
  return (
    <>
      <button type="button" class={`scored surprise-${surprise(token)}${token.text == null ? " only-id" : ""}`} aria-pressed={isChosen} title={facts} onClick={choose} {...attributes}>
        {tokenChip(token)}
        {facts && <span class="visually-hidden"> {facts}</span>}
      </button>
      {token.text?.includes("\n") && <br />}
    </>
  );
}

/** The probability and surprisal of the chosen token. */
function Chosen({ prompt, state, say, token }: ViewProps & { token: ScoredToken }) {
  const before = prompt.lens?.layers.at(-1)?.positions[state.position - 1]?.candidates[0];
  const values = { probability: percent(token.probability), rank: token.rank ?? "?", surprisal: decimal(surprisal(token)) };
  return (
    <div class="loss-chosen" aria-live="polite">
      <h3>{say(LOSS.chosen, { position: state.position, token: tokenLabel(token) })}</h3>
      <p>
        {token.log_probability === undefined && say(LOSS.unscored)}
        {token.log_probability === null && say(LOSS.unknown)}
        {token.log_probability != null && say(LOSS.scored, values)}
        {say(COMMON.gap)}
        {token.log_probability != null &&
          (token.rank === 1
            ? say(LOSS.itself)
            : before && say(LOSS.expected, { token: tokenLabel(before), probability: percent(before.probability) }))}
      </p>
    </div>
  );
}

function Whole({ page, say, result }: ViewProps & { result: LossResult }) {
  const vocab = page.trace.logits_per_position;
  const uniform = vocab ? Math.log(vocab) : null;
  const count = result.tokens.filter((token) => token.log_probability != null).length;
  const most = Math.max(result.loss ?? 0, uniform ?? 0);
  const bars = [
    { name: say(LOSS.mean), value: result.loss },
    { name: say(LOSS.uniform), value: uniform },
  ].filter(({ value }) => value !== null);
  return (
    <section>
      <h3>{say(LOSS.whole)}</h3>
      <table class="loss-bars">
        <tbody>
          {bars.map(({ name, value }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td class="number">{say(LOSS.nats, { loss: decimal(value) })}</td>
              <td class="loss-bar">
                <Bar part={(value ?? 0) / most} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <p>{say(LOSS.perplexity, { count, loss: decimal(result.loss), perplexity: digits(result.perplexity, 4) })}</p>
      {vocab && uniform !== null && (
        <p>
          {say(LOSS.guessing, { vocab: grouped(vocab), uniform: decimal(uniform) })}
          {say(COMMON.gap)}
          {(result.loss ?? 0) > uniform && say(LOSS.worse)}
        </p>
      )}
    </section>
  );
}

const SHOWN = 5;

function LeastExpected({ dispatch, say, tokens }: ViewProps & { tokens: readonly ScoredToken[] }) {
  const least = tokens
    .map((token, position) => ({ token, position, size: surprisal(token) ?? -1 }))
    .filter(({ size }) => size >= 0)
    .sort((a, b) => b.size - a.size)
    .slice(0, SHOWN);
  return (
    <section>
      <h3>{say(LOSS.least)}</h3>
      <ol class="least-expected">
        {least.map(({ token, position, size }) => (
          <li key={position}>
            <button type="button" class={`scored surprise-${surprise(token)}`} onClick={() => dispatch({ position })}>
              {tokenLabel(token)}
            </button>{" "}
            {say(COMMON.position)} {position}: {percent(token.probability)}, {say(LOSS.nats, { loss: decimal(size, 2) })}
          </li>
        ))}
      </ol>
    </section>
  );
}

function TokenTable({ tokens, say }: Pick<ViewProps, "say"> & { tokens: readonly ScoredToken[] }) {
  const columns = [COMMON.position, COMMON.token, COMMON.probability, COMMON.rank, LOSS.surprisal];
  return (
    <ScrollBox label={say(LOSS.table)}>
      <table class="loss-table">
        <thead>
          <tr>
            {columns.map((column, at) => (
              <th scope="col" key={at} class={at === 1 ? "" : "number"}>
                {say(column)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {tokens.map((token, position) => (
            <tr key={position}>
              <td class="number">{position}</td>
              <th scope="row">{tokenLabel(token)}</th>
              <td class="number">{token.probability === undefined ? "–" : percent(token.probability)}</td>
              <td class="number">{token.rank ?? "–"}</td>
              <td class="number">{token.log_probability === undefined ? "–" : decimal(surprisal(token))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollBox>
  );
}
