// The norm of the stream as a line, and of what each step adds as bars.
import { useState } from "preact/hooks";
import { visible } from "../../visible";
import type { Say } from "../../words/say";
import { STREAM } from "../../words/stream";
import { digits } from "../common/numbers";
import { ScrollBox } from "../common/scroll_box";
import { useWidth } from "../common/width";
import { namesOf, needsLog, scaleOf, type Scale, type Step } from "./points";

const HEIGHT = 300;
const MARGIN = { top: 12, right: 14, bottom: 44, left: 54 };
/** The least width of a step in pixels; a picture of more steps scrolls. */
const NARROWEST = 7;
/** The width on paper: an element that is shown only there has no width on the screen. */
const PRINTED_WIDTH = 640;
/** Kinds of bars that look different; further kinds begin again. */
const PATTERNS = 3;
const MOST_LINES = 60;

interface ChartProps {
  steps: readonly Step[];
  position: number;
  say: Say;
}

export function StreamChart({ steps, position, say }: ChartProps) {
  const [element, width] = useWidth<HTMLDivElement>();
  const numbers = steps.flatMap((step) => [...step.norms, ...step.added]).filter((size) => size !== null);
  const [isLog, setLog] = useState(() => needsLog(numbers));
  const scale = scaleOf(numbers, isLog);
  const names = namesOf(steps);
  const full = Math.max(width || PRINTED_WIDTH, MARGIN.left + MARGIN.right + steps.length * NARROWEST);
  const label = say(STREAM.chart);
  const text = say(STREAM.chartText, { start: sizeText(steps[0]?.norms[position]), end: sizeText(steps.at(-1)?.norms[position]), count: steps.length });
  return (
    <div class="stream-chart">
      <ChartLegend {...{ steps, names, position, say }} />
      <label class="log-choice">
        <input type="checkbox" checked={isLog} onChange={() => setLog(!isLog)} /> {say(STREAM.log)}
      </label>
      <div ref={element}>
        <ScrollBox label={label}>
          <svg width={full} height={HEIGHT} viewBox={`0 0 ${full} ${HEIGHT}`} role="img" aria-label={`${label}. ${text}`}>
            <Patterns />
            <Axis scale={scale} width={full} />
            <Steps {...{ steps, names, position, scale }} width={full} />
          </svg>
        </ScrollBox>
      </div>
    </div>
  );
}

export function sizeText(size: number | null | undefined): string {
  return digits(size, 3);
}

function yOf(scale: Scale, size: number): number {
  return MARGIN.top + (1 - scale.part(size)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
}

function Patterns() {
  return (
    <defs>
      <pattern id="stream-hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
        <rect class="hatch-ground" width="5" height="5" />
        <line class="hatch-line" x1="0" y1="0" x2="0" y2="5" />
      </pattern>
    </defs>
  );
}

function Axis({ scale, width }: { scale: Scale; width: number }) {
  return (
    <g class="chart-axis">
      {scale.ticks.map((tick) => (
        <g key={tick}>
          <line x1={MARGIN.left} x2={width - MARGIN.right} y1={yOf(scale, tick)} y2={yOf(scale, tick)} />
          <text x={MARGIN.left - 6} y={yOf(scale, tick) + 4} text-anchor="end">
            {tickText(tick)}
          </text>
        </g>
      ))}
    </g>
  );
}

function tickText(tick: number): string {
  return tick >= 1e5 || (tick > 0 && tick < 1e-3) ? tick.toExponential(0).replace("e+", "e") : String(Number(tick.toPrecision(6)));
}

interface StepsProps {
  steps: readonly Step[];
  names: readonly string[];
  position: number;
  scale: Scale;
  width: number;
}

function Steps({ steps, names, position, scale, width }: StepsProps) {
  const slot = (width - MARGIN.left - MARGIN.right) / steps.length;
  const x = (at: number) => MARGIN.left + (at + 0.5) * slot;
  const bottom = HEIGHT - MARGIN.bottom;
  const lineOf = (at: number) =>
    steps.flatMap((step, index) => (step.norms[at] == null ? [] : `${x(index).toFixed(1)} ${yOf(scale, step.norms[at]).toFixed(1)}`));
  const positions = steps[0]?.norms.length ?? 0;
  const stride = Math.ceil(positions / MOST_LINES);
  const others = Array.from({ length: positions }, (_, at) => at).filter((at) => at !== position && at % stride === 0);
  const bar = Math.max(2, Math.min(26, slot * 0.66));
  return (
    <>
      {steps.map((step, at) => {
        const size = step.added[position];
        if (size == null) return null;
        return (
          <rect
            key={at}
            class={`stream-bar bar-${names.indexOf(step.name) % PATTERNS}`}
            x={x(at) - bar / 2}
            width={bar}
            y={yOf(scale, size)}
            height={Math.max(0, bottom - yOf(scale, size))}
          />
        );
      })}
      {others.map((at) => (
        <polyline key={at} class="stream-other" points={lineOf(at).join(" ")} />
      ))}
      <polyline class="stream-line" points={lineOf(position).join(" ")} />
      {slot > 12 && steps.map((step, at) => step.norms[position] != null && <circle key={at} class="stream-dot" cx={x(at)} cy={yOf(scale, step.norms[position])} r="3" />)}
      <BlockLabels steps={steps} x={x} slot={slot} />
    </>
  );
}

/** The number of each block under its steps; the path of the first step where it stands before the blocks. */
function BlockLabels({ steps, x, slot }: { steps: readonly Step[]; x: (at: number) => number; slot: number }) {
  const blocks = [...new Set(steps.map((step) => step.block))].filter((block) => block !== null);
  const perBlock = (steps.length / Math.max(1, blocks.length)) * slot;
  const stride = Math.ceil(26 / perBlock);
  return (
    <g class="chart-labels">
      {blocks.map((block, at) => {
        const mine = steps.flatMap((step, index) => (step.block === block ? index : []));
        const [first, last] = [mine[0] ?? 0, mine.at(-1) ?? 0];
        const middle = (x(first) + x(last)) / 2;
        return (
          <g key={block}>
            <line class="block-line" x1={x(first) - slot * 0.46} x2={x(last) + slot * 0.46} y1={HEIGHT - MARGIN.bottom + 5} y2={HEIGHT - MARGIN.bottom + 5} />
            {at % stride === 0 && (
              <text x={middle} y={HEIGHT - MARGIN.bottom + 20} text-anchor="middle">
                {block}
              </text>
            )}
          </g>
        );
      })}
      {steps[0]?.block === null && (
        <text x={MARGIN.left} y={HEIGHT - 6} text-anchor="start">
          ↑ {visible(steps[0].path)}
        </text>
      )}
    </g>
  );
}

function ChartLegend({ steps, names, position, say }: ChartProps & { names: readonly string[] }) {
  return (
    <ul class="legend">
      <li>
        <span class="line-key stream-key" /> {say(STREAM.stream, { position })}
      </li>
      <li>
        <span class="line-key other-key" /> {say(STREAM.others)}
      </li>
      {names.map((name, at) => {
        const isAttention = steps.some((step) => step.name === name && step.isAttention);
        return (
          <li key={name}>
            <svg class="bar-key" width="18" height="12" aria-hidden="true">
              <rect class={`stream-bar bar-${at % PATTERNS}`} width="18" height="12" />
            </svg>{" "}
            {say(isAttention ? STREAM.addsAttention : STREAM.adds, { name: visible(name) })}
          </li>
        );
      })}
    </ul>
  );
}
