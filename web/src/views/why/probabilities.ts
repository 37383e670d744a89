// All logits of the last position, and softmax at any temperature.
import { shortsOf } from "../../data";
import type { Projection } from "../../record";

const MASKED = 65535;

export interface Logits {
  values: Float64Array;
  /** A stored logit is off by half of it at most. */
  step: number;
  greatest: number;
}

export function logitsOf(projection: Projection): Logits {
  const low = projection.low ?? NaN;
  const step = projection.step ?? NaN;
  const values = Float64Array.from(shortsOf(projection.logits), (level) => (level === MASKED ? -Infinity : low + level * step));
  return { values, step, greatest: values.reduce((most, value) => Math.max(most, value), -Infinity) };
}

export interface Distribution {
  /** Of each token, by id. */
  probabilities: Float64Array;
  /** The fewest tokens that have nine tenths of the probability together. */
  tokensOfNineTenths: number;
  /** The greatest relative error of a probability, since the logits are rounded. */
  error: number;
}

export function softmax({ values, greatest, step }: Logits, temperature: number): Distribution {
  const probabilities = values.map((value) => Math.exp((value - greatest) / temperature));
  const total = probabilities.reduce((sum, part) => sum + part, 0);
  for (let id = 0; id < probabilities.length; id++) probabilities[id] = (probabilities[id] ?? 0) / total;
  return { probabilities, tokensOfNineTenths: fewest(probabilities, 0.9), error: Math.expm1(step / temperature) };
}

/** The number of greatest values that together have a share of the whole. */
function fewest(probabilities: Float64Array, share: number): number {
  const sorted = probabilities.slice().sort();
  let sum = 0;
  let count = 0;
  while (sum < share && count < sorted.length) sum += sorted[sorted.length - ++count] ?? 0;
  return count;
}
