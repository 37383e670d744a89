// Numbers as bars side by side, up where they are positive and down where they are negative.

/** The least and the greatest number, with 0 between them. */
export interface Range {
  low: number;
  high: number;
}

interface BarsProps {
  numbers: ArrayLike<number>;
  /** The range that the height of the picture spans. */
  range: Range;
}

/** The text beside the picture describes it. */
export function Bars({ numbers, range: { low, high } }: BarsProps) {
  const y = (number: number) => (high - number) / (high - low || 1);
  return (
    <svg class="bars" viewBox={`0 0 ${numbers.length} 1`} preserveAspectRatio="none" aria-hidden="true">
      <path class="bars-positive" d={outline(numbers, y, 1)} />
      <path class="bars-negative" d={outline(numbers, y, -1)} />
      <line class="bars-zero" x1="0" x2={numbers.length} y1={y(0)} y2={y(0)} vector-effect="non-scaling-stroke" />
    </svg>
  );
}

export function rangeOf(numbers: ArrayLike<number>): Range {
  const range = { low: 0, high: 0 };
  for (let at = 0; at < numbers.length; at++) {
    range.low = Math.min(range.low, numbers[at] ?? 0);
    range.high = Math.max(range.high, numbers[at] ?? 0);
  }
  return range;
}

function outline(numbers: ArrayLike<number>, y: (number: number) => number, sign: 1 | -1): string {
  const zero = y(0).toFixed(4);
  const parts: string[] = [];
  for (let at = 0; at < numbers.length; at++) {
    const number = numbers[at] ?? 0;
    if (number * sign > 0) parts.push(`M${at} ${zero}V${y(number).toFixed(4)}h1V${zero}`);
  }
  return parts.join("");
}
