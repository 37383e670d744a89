// Classes of tokens by their probability.
import type { ScoredToken } from "../../record";

/** The least probability of each class. */
export const LEAST = [0.5, 0.1, 0.01, 0.001, 0] as const;

/** From "0", well expected, to "4"; "none" where the model predicts nothing. */
export function surprise(token: ScoredToken): string {
  const { probability } = token;
  if (probability == null) return "none";
  return String(LEAST.findIndex((least) => probability >= least));
}

/** −ln p, in nats. */
export function surprisal(token: ScoredToken): number | null {
  return token.log_probability == null ? null : Math.abs(token.log_probability);
}
