// One row of a head: the text, tinted by the weights of the chosen token.
import type { Token } from "../../record";
import { tokenChip, tokenLabel } from "../../tokens";
import { ATTENTION } from "../../words/attention";
import { COMMON } from "../../words/common";
import { Bar } from "../common/bar";
import { share } from "../common/numbers";
import type { ViewProps } from "../view";
import type { HeadMatrix } from "./matrix";
import { tint } from "./picture";

const SHOWN = 8;

interface QueryWeightsProps extends Pick<ViewProps, "say"> {
  matrix: HeadMatrix;
  tokens: readonly Token[];
  position: number;
}

export function QueryWeights({ matrix, tokens, position, say }: QueryWeightsProps) {
  const token = tokens[position];
  if (!token || position >= matrix.size) return null;
  const keys = tokens.slice(0, matrix.size).map((key, at) => ({ key, at, weight: matrix.weight(position, at) }));
  const seen = keys.filter(({ at }) => !matrix.isMasked(position, at));
  const top = seen.filter(({ weight }) => weight > 0).sort((a, b) => b.weight - a.weight || a.at - b.at).slice(0, SHOWN);
  return (
    <div class="query-weights">
      <h4>{say(ATTENTION.fromTokens, { token: tokenLabel(token), position })}</h4>
      <table class="top-weights">
        <caption>{say(ATTENTION.top)}</caption>
        <thead class="visually-hidden">
          <tr>
            <th scope="col">{say(COMMON.position)}</th>
            <th scope="col">{say(COMMON.token)}</th>
            <th scope="col">{say(ATTENTION.weight)}</th>
          </tr>
        </thead>
        <tbody>
          {top.map(({ key, at, weight }) => (
            <tr key={at}>
              <td class="number quiet">{at}</td>
              <th scope="row">{tokenLabel(key)}</th>
              <td>
                <span class="number">{share(weight)}</span>
                <Bar part={weight} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="weights-text" aria-hidden="true">
        {seen.map(({ key, at, weight }) => (
          <span key={at} {...tint(weight, "tinted")}>
            {tokenChip(key)}
          </span>
        ))}
      </p>
    </div>
  );
}
