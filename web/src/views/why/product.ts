// x·Wᵀ on the candidates' rows: each product and their sum.
import { floatsOf } from "../../data";
import type { Projection, Token } from "../../record";

export interface RowProduct {
  id: number;
  token: Token;
  /** The row of W, and its products with x, one for each of the emb_dim numbers. */
  weights: Float32Array;
  products: Float64Array;
  positive: number;
  negative: number;
  bias: number;
  /** All products and the bias, added up here. */
  sum: number;
  /** The model's own logit. */
  logit: number;
  /** From 1, among the rows that are shown. */
  rank: number;
}

/** The rows in the order of W, from the top. */
export function productsOf(projection: Projection): { hidden: Float32Array; rows: RowProduct[] } {
  const hidden = floatsOf(projection.hidden);
  const ranked = [...projection.rows].sort((a, b) => (b.logit ?? -Infinity) - (a.logit ?? -Infinity));
  const rows = ranked.map((row, at): RowProduct => {
    const weights = floatsOf(row.weights);
    const products = Float64Array.from(hidden, (x, index) => x * (weights[index] ?? NaN));
    const positive = sumOf(products.filter((product) => product > 0));
    const negative = sumOf(products.filter((product) => product < 0));
    const bias = row.bias ?? NaN;
    const logit = row.logit ?? NaN;
    return { id: row.id, token: row.token, weights, products, positive, negative, bias, sum: sumOf(products) + bias, logit, rank: at + 1 };
  });
  return { hidden, rows: rows.sort((a, b) => a.id - b.id) };
}

/** The places of the greatest products, by absolute value. */
export function greatest(products: Float64Array, count: number): number[] {
  const order = [...products.keys()].sort((a, b) => Math.abs(products[b] ?? 0) - Math.abs(products[a] ?? 0));
  return order.slice(0, count);
}

function sumOf(numbers: Float64Array): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
