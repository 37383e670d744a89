// Numbers as the terminal writes them.

const UNKNOWN = "?";

/** "15.40 %", with four significant digits. */
export function percent(probability: number | null | undefined): string {
  if (probability == null || !Number.isFinite(probability)) return UNKNOWN;
  return `${digits(100 * probability, 4)} %`;
}

/** A share in few digits, to be read at a glance: "1,941 %", "60 %", "0.4 %". */
export function share(part: number): string {
  if (!Number.isFinite(part)) return UNKNOWN;
  const hundredths = 100 * part;
  return `${hundredths >= 9.95 || hundredths === 0 ? grouped(Math.round(hundredths)) : hundredths.toFixed(1)} %`;
}

/** A number with four places, as logits and losses have: "5.4209". */
export function decimal(number: number | null | undefined, places = 4): string {
  return number == null || !Number.isFinite(number) ? UNKNOWN : number.toFixed(places).replace("-", "−");
}

/** Significant digits, with an exponent if the number is very small or large: "0.4447", "1.6e-7", "96,830". */
export function digits(number: number | null | undefined, count: number): string {
  if (number == null || !Number.isFinite(number)) return UNKNOWN;
  if (number === 0) return "0";
  const size = Math.abs(number);
  if (size >= 10 ** count && size < 1e9) return grouped(Math.round(number)).replace(/^-/, "−");
  if (size < 1e-3 || size >= 1e9) return number.toExponential(count - 1).replace("e+", "e").replace(/^-/, "−");
  return number.toPrecision(count).replace(/^-/, "−");
}

/** "50,257". */
export function grouped(count: number): string {
  return count.toLocaleString("en");
}
