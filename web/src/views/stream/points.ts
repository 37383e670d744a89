// The steps of the residual stream, with their norms at each position.
import type { ModuleCall, PagePrompt, StreamPoint } from "../../record";

export interface Step {
  path: string;
  /** Name of the module in its block, such as "att". */
  name: string;
  /** Number of the block in the path; null outside of the blocks. */
  block: string | null;
  /** The trace has attention weights that were made inside of it. */
  isAttention: boolean;
  /** Norm of the stream after it, at each position. */
  norms: readonly (number | null)[];
  /** Norm of what it added; empty where the stream begins. */
  added: readonly (number | null)[];
}

export function stepsOf(prompt: PagePrompt, calls: readonly ModuleCall[]): Step[] {
  const attending = callsAround(prompt, calls);
  return (prompt.stream ?? []).map((point: StreamPoint) => ({
    path: point.path,
    name: point.path.split(".").at(-1) ?? point.path,
    block: point.path.match(/(?:^|\.)(\d+)(?:\.|$)/)?.[1] ?? null,
    isAttention: attending.has(point.call),
    norms: point.norms,
    added: point.added ?? [],
  }));
}

/** The calls that attend, and those around them. */
function callsAround(prompt: PagePrompt, calls: readonly ModuleCall[]): Set<number> {
  const around = new Set<number>();
  for (const map of prompt.attention ?? []) {
    for (let call: number | null | undefined = map.call; call != null && !around.has(call); call = calls[call]?.parent) around.add(call);
  }
  return around;
}

/** The names of the steps that add, in the order in which they come. */
export function namesOf(steps: readonly Step[]): string[] {
  return [...new Set(steps.filter((step) => step.added.length > 0).map((step) => step.name))];
}

export interface Scale {
  isLog: boolean;
  low: number;
  high: number;
  ticks: readonly number[];
  /** From 0 at the bottom to 1 on top. */
  part: (size: number) => number;
}

/** A scale for norms of at least 0; the logarithmic one begins at the smallest power of ten that is needed. */
export function scaleOf(sizes: readonly number[], isLog: boolean): Scale {
  const positive = sizes.filter((size) => size > 0 && Number.isFinite(size));
  const most = Math.max(...positive, Number.MIN_VALUE);
  if (isLog) {
    const low = 10 ** Math.floor(Math.log10(Math.min(...positive, most)));
    const high = 10 ** Math.ceil(Math.log10(most) - 1e-9);
    const decades = Math.max(1, Math.round(Math.log10(high / low)));
    const ticks = Array.from({ length: decades + 1 }, (_, at) => low * 10 ** at);
    return { isLog, low, high, ticks, part: (size) => Math.max(0, Math.log10(Math.max(size, low) / low) / decades) };
  }
  const step = niceStep(most / 4);
  const count = Math.ceil(most / step - 1e-9);
  const high = count * step;
  return { isLog, low: 0, high, ticks: Array.from({ length: count + 1 }, (_, at) => at * step), part: (size) => size / high };
}

function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
}

/** Tells whether norms differ so much that small ones would be invisible on a linear scale. */
export function needsLog(sizes: readonly number[]): boolean {
  const positive = sizes.filter((size) => size > 0).sort((a, b) => a - b);
  const middle = positive[Math.floor(positive.length / 2)] ?? 1;
  return (positive.at(-1) ?? 1) > 10 * middle;
}
