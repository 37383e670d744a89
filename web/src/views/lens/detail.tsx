// The chosen cell, and how the model's prediction rises from layer to layer at its position.
import type { Token } from "../../record";
import { tokenLabel } from "../../tokens";
import { visible } from "../../visible";
import { COMMON } from "../../words/common";
import { LENS } from "../../words/lens";
import { Bar } from "../common/bar";
import { percent } from "../common/numbers";
import { ScrollBox } from "../common/scroll_box";
import type { ViewProps } from "../view";
import { rankClass, settledAt, type Column } from "./cells";

interface LensDetailProps extends Pick<ViewProps, "state" | "dispatch" | "say"> {
  column: Column;
  token: Token;
}

export function LensDetail({ column, token, state, dispatch, say }: LensDetailProps) {
  const cell = column.cells[Math.min(state.layer, column.cells.length - 1)];
  if (!cell) return null;
  const final = tokenLabel(column.final);
  const values = { final, rank: cell.rank, probability: percent(cell.probability) };
  return (
    <div class="lens-detail">
      <section>
        <h3>{say(LENS.detail, { position: column.position, token: tokenLabel(token), layer: cell.layer })}</h3>
        <table class="candidates">
          <caption>{say(LENS.candidates)}</caption>
          <thead class="visually-hidden">
            <tr>
              <th scope="col">{say(COMMON.rank)}</th>
              <th scope="col">{say(COMMON.token)}</th>
              <th scope="col">{say(COMMON.probability)}</th>
            </tr>
          </thead>
          <tbody>
            {cell.candidates.map((candidate) => (
              <tr key={candidate.id}>
                <td class="number quiet">{candidate.rank}</td>
                <th scope="row">{tokenLabel(candidate)}</th>
                <td class="probability">
                  <span class="number">{percent(candidate.probability)}</span>
                  <Bar part={candidate.probability ?? NaN} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        <p>{say(cell.probability === null ? LENS.finalHere : LENS.finalHereWith, values)}</p>
      </section>
      <section>
        <h3>{say(LENS.path, { final })}</h3>
        <p>{settledText(column, say)}</p>
        <PathTable column={column} layer={cell.layer} dispatch={dispatch} say={say} />
      </section>
    </div>
  );
}

function settledText(column: Column, say: ViewProps["say"]): string {
  const layer = settledAt(column);
  const values = { final: tokenLabel(column.final), rank: column.cells[0]?.rank ?? "?", layer };
  if (layer === 0) return say(LENS.always, values);
  return say(layer >= column.cells.length - 1 ? LENS.settledLast : LENS.settled, values);
}

function PathTable({ column, layer, dispatch, say }: { column: Column; layer: number } & Pick<ViewProps, "dispatch" | "say">) {
  const final = tokenLabel(column.final);
  const unbroken = final.replace(/ /g, "\u00a0");
  return (
    <ScrollBox label={say(LENS.path, { final })}>
      <table class="lens-path">
        <thead>
          <tr>
            <th scope="col">{say(COMMON.layer)}</th>
            <th scope="col">{say(LENS.first)}</th>
            <th scope="col" class="number">
              {say(LENS.rankOf, { final: unbroken })}
            </th>
            <th scope="col" class="number">
              {say(LENS.probabilityOf, { final: unbroken })}
            </th>
          </tr>
        </thead>
        <tbody>
          {column.cells.map((cell) => (
            <tr key={cell.layer} class={cell.layer === layer ? "chosen" : ""} onClick={() => dispatch({ layer: cell.layer })}>
              <th scope="row">
                {cell.layer} <span class="quiet">{visible(cell.path)}</span>
              </th>
              <td class="token-name">{cell.candidates[0] && tokenLabel(cell.candidates[0])}</td>
              <td class={`number rank-${rankClass(cell.rank)}`}>{cell.rank}</td>
              <td class="number">{cell.probability === null ? "–" : percent(cell.probability)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollBox>
  );
}
