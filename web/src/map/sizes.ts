// The sizes of texts and nodes. Nothing is measured in a browser, so a picture made without one is the same.
// Names stand in a monospaced font, whose characters are at most 0.61 em wide; wide ones take two.
import { splitNames } from "../parts/split";
import type { Edge, Node } from "../record";
import { visible } from "../visible";

export const TITLE_SIZE = 13;
export const CAPTION_SIZE = 11;
export const LABEL_SIZE = 11;
const EM = 0.61;
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const LONGEST = 36;

export interface Size {
  width: number;
  height: number;
}

/** One axis of a label: its name above its size, or the size alone. */
export interface LabelColumn {
  name: string;
  size: string;
  /** From the left edge of the label to the middle of the column. */
  x: number;
}

export interface Label extends Size {
  columns: LabelColumn[];
}

export function textWidth(text: string, size: number): number {
  let units = 0;
  for (const character of text) units += WIDE.test(character) ? 2 : 1;
  return units * size * EM;
}

/** A text that cannot become wider than the picture: its middle is left out. */
export function shortened(text: string, limit = LONGEST): string {
  const shown = [...visible(text)];
  if (shown.length <= limit) return shown.join("");
  const end = Math.floor(limit / 3);
  return `${shown.slice(0, limit - end - 1).join("")}…${shown.slice(-end).join("")}`;
}

/** The texts of a node that is not open, side by side: its name, how many blocks it stands for, its class. */
export interface TitleParts extends Size {
  label: string;
  times: string;
  caption: string;
  timesAt: number;
  captionAt: number;
  /** The number of equal blocks that it stands for; 1 for all others. */
  count: number;
}

const SIDE = 13;
const BETWEEN = 8;

export function titleOf(node: Node, caption: string, count: number, canOpen: boolean): TitleParts {
  const isModule = node.kind === "module";
  const label = shortened(node.label, isModule ? 30 : LONGEST);
  const times = count > 1 ? `× ${count}` : "";
  const below = isModule ? shortened(caption, 28) : "";
  const timesAt = SIDE + textWidth(label, TITLE_SIZE) + BETWEEN;
  const captionAt = timesAt + (times ? textWidth(times, TITLE_SIZE) + BETWEEN : 0);
  const end = below ? captionAt + textWidth(below, CAPTION_SIZE) : captionAt - BETWEEN;
  const width = Math.max(isModule ? 72 : 44, end + SIDE + (canOpen ? 14 : 0));
  return { label, times, caption: below, timesAt, captionAt, count, width, height: isModule ? 30 : 26 };
}

/** The names of the axes of a tensor with their sizes below, in columns: emb_dim/tp above 768. */
export function labelOf({ dims: whole, shape, split_by }: Pick<Edge, "dims" | "shape" | "split_by">): Label {
  const dims = splitNames(whole, split_by);
  if (dims.every((dim, at) => dim === String(shape[at]))) return unnamed(shape);
  const gap = LABEL_SIZE * EM * 1.4;
  const columns: LabelColumn[] = [];
  let x = 5;
  dims.forEach((dim, at) => {
    const size = String(shape[at] ?? "");
    const name = dim === size ? "" : shortened(dim, 20);
    const width = Math.max(textWidth(name, LABEL_SIZE), textWidth(size, LABEL_SIZE));
    columns.push({ name, size, x: x + width / 2 });
    x += width + gap;
  });
  return { columns, width: x - gap + 5, height: 29 };
}

/** The label of a tensor whose axes have no names, or that is a single number. */
function unnamed(shape: readonly number[]): Label {
  const size = shape.length === 0 ? "[]" : shape.join(" × ");
  const width = textWidth(size, LABEL_SIZE) + 10;
  return { columns: [{ name: "", size, x: width / 2 }], width, height: 16 };
}
