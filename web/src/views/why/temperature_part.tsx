// Softmax on all logits of the last position, with a temperature that can be moved.
import { useId, useMemo, useState } from "preact/hooks";
import type { Projection } from "../../record";
import { tokenLabel } from "../../tokens";
import { COMMON } from "../../words/common";
import type { Say } from "../../words/say";
import { WHY } from "../../words/why";
import { Bar } from "../common/bar";
import { decimal, digits, grouped, percent } from "../common/numbers";
import type { ViewProps } from "../view";
import { logitsOf, softmax, type Distribution } from "./probabilities";

/** The slider moves in steps of a twentieth of an octave, from 1/8 to 8. */
const OCTAVES = 3;
const STEPS = 20;

export function TemperaturePart({ page, projection, say }: ViewProps & { projection: Projection }) {
  const [temperature, setTemperature] = useState(startOf(page.trace.temperature));
  const logits = useMemo(() => logitsOf(projection), [projection]);
  const distribution = useMemo(() => softmax(logits, temperature), [logits, temperature]);
  const count = logits.values.length;
  const { tokensOfNineTenths: nineTenths, error } = distribution;
  return (
    <div class="why-picture">
      <h3>{say(WHY.softmax)}</h3>
      <p class="formula">
        p<sub>i</sub> = exp(logit<sub>i</sub> / T) / Σ<sub>j</sub> exp(logit<sub>j</sub> / T)
      </p>
      <p class="quiet">{say(WHY.softmaxLead, { vocab: grouped(count) })}</p>
      <Slider temperature={temperature} change={setTemperature} say={say} />
      <Candidates projection={projection} temperature={temperature} distribution={distribution} say={say} />
      <p>{nineTenths === 1 ? say(WHY.nineTenths.one) : say(WHY.nineTenths.many, { count: grouped(nineTenths) })}</p>
      <p class="quiet">
        {say(WHY.rounded, { count: grouped(count), half: digits(logits.step / 2, 2), error: `${digits(100 * error, 2)} %` })}
      </p>
    </div>
  );
}

function startOf(temperature: number): number {
  return temperature >= 2 ** -OCTAVES && temperature <= 2 ** OCTAVES ? temperature : 1;
}

function Slider({ temperature, change, say }: { temperature: number; change: (temperature: number) => void; say: Say }) {
  const id = useId();
  const text = say(WHY.temperatureIs, { temperature: digits(temperature, 3) });
  const move = (event: Event) => {
    const step = Number((event.currentTarget as HTMLInputElement).value);
    change(2 ** (step / STEPS));
  };
  return (
    <div class="temperature">
      <label for={id}>{say(WHY.temperature)}</label>
      <input
        id={id}
        type="range"
        min={-OCTAVES * STEPS}
        max={OCTAVES * STEPS}
        step="1"
        value={Math.round(Math.log2(temperature) * STEPS)}
        aria-valuetext={text}
        onInput={move}
      />
      <output for={id}>{text}</output>
      <button type="button" class="small-button" disabled={temperature === 1} onClick={() => change(1)}>
        {say(WHY.reset)}
      </button>
    </div>
  );
}

interface CandidatesProps {
  projection: Projection;
  temperature: number;
  distribution: Distribution;
  say: Say;
}

function Candidates({ projection, temperature, distribution, say }: CandidatesProps) {
  const { probabilities } = distribution;
  const rows = [...projection.rows].sort((a, b) => (b.logit ?? -Infinity) - (a.logit ?? -Infinity));
  const rest = 1 - rows.reduce((sum, row) => sum + (probabilities[row.id] ?? 0), 0);
  return (
    <table class="candidates">
      <caption class="visually-hidden">{say(WHY.candidates)}</caption>
      <thead>
        <tr>
          <th scope="col">{say(COMMON.token)}</th>
          <th scope="col" class="number">
            logit
          </th>
          <th scope="col" class="number">
            logit / T
          </th>
          <th scope="col">{say(COMMON.probability)}</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.id}>
            <th scope="row">{tokenLabel(row.token)}</th>
            <td class="number">{decimal(row.logit, 3)}</td>
            <td class="number">{decimal((row.logit ?? NaN) / temperature, 3)}</td>
            <Probability probability={probabilities[row.id] ?? NaN} />
          </tr>
        ))}
        <tr class="others">
          <th scope="row" colSpan={3}>
            {say(WHY.others, { count: grouped(probabilities.length - rows.length) })}
          </th>
          <Probability probability={Math.max(0, rest)} />
        </tr>
      </tbody>
    </table>
  );
}

function Probability({ probability }: { probability: number }) {
  return (
    <td class="probability">
      <span class="number">{percent(probability)}</span>
      <Bar part={probability} />
    </td>
  );
}
