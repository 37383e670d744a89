// The attention weights of one head: a row for each query, a column for each key.
import { bytesOf } from "../../data";
import type { AttentionMap, HeadWeights } from "../../record";

/** A weight is kept in steps of 1/255. */
export const LEVELS = 255;

export interface HeadMatrix {
  size: number;
  /** From 0 to 1. */
  weight: (query: number, key: number) => number;
  /** The query cannot look at this key: it comes later, or lies before the window. */
  isMasked: (query: number, key: number) => boolean;
}

const decoded = new WeakMap<HeadWeights, HeadMatrix>();

/** Decodes the weights of a head, once. */
export function matrixOf(map: AttentionMap, head: HeadWeights): HeadMatrix {
  let matrix = decoded.get(head);
  if (!matrix) decoded.set(head, (matrix = decode(map, head)));
  return matrix;
}

function decode(map: AttentionMap, head: HeadWeights): HeadMatrix {
  const levels = bytesOf(head.weights);
  const window = map.window || Infinity;
  if (!map.is_causal) {
    const size = Math.round(Math.sqrt(levels.length));
    return { size, weight: (query, key) => (levels[query * size + key] ?? 0) / LEVELS, isMasked: () => false };
  }
  return {
    size: Math.round((Math.sqrt(8 * levels.length + 1) - 1) / 2),
    weight: (query, key) => (key > query ? 0 : (levels[(query * (query + 1)) / 2 + key] ?? 0) / LEVELS),
    isMasked: (query, key) => key > query || query - key >= window,
  };
}

/** How many keys a query can look at. */
export function keysOf(map: AttentionMap, size: number, query: number): number {
  return map.is_causal ? Math.min(query + 1, map.window || Infinity) : size;
}

/** The entropy of a head that shares its weight evenly, averaged over the queries, in nats. */
export function evenEntropy(map: AttentionMap, size: number): number {
  return mean(size, 0, (query) => Math.log(keysOf(map, size, query)));
}

/** The measured habits of a head. Queries 0 and 1 are left out: their previous token is the first one, or there is none. */
export interface Habits {
  previous: number;
  first: number;
  self: number;
}

export const FIRST_QUERY = 2;
export const HABITS = ["previous", "first", "self"] as const;

export function habitsOf({ size, weight }: HeadMatrix): Habits {
  return {
    previous: mean(size, FIRST_QUERY, (query) => weight(query, query - 1)),
    first: mean(size, FIRST_QUERY, (query) => weight(query, 0)),
    self: mean(size, FIRST_QUERY, (query) => weight(query, query)),
  };
}

/** The weight on one key of a head that shares its weight evenly. */
export function evenWeight(map: AttentionMap, size: number): number {
  return mean(size, FIRST_QUERY, (query) => 1 / keysOf(map, size, query));
}

function mean(size: number, from: number, of: (query: number) => number): number {
  let sum = 0;
  for (let query = from; query < size; query++) sum += of(query);
  return size > from ? sum / (size - from) : NaN;
}
