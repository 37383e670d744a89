// One colour for each axis name, the same everywhere. A name always stands beside its colour.

const KNOWN = [
  "batch",
  "seq_len",
  "emb_dim",
  "vocab_size",
  "n_heads",
  "head_dim",
  "ff_dim",
  "context_length",
];
const COLORS = 12;
const given = new Map(KNOWN.map((name, color) => [name, color]));

/** Gives the names of a page their colours, so that they do not depend on what is shown first. */
export function nameAxes(names: Iterable<string>): void {
  for (const name of names) axisClass(name);
}

/** The class that colours an axis; a size without a name has no colour of its own. */
export function axisClass(name: string): string {
  if (/^\d+$/.test(name)) return "axis";
  let color = given.get(name);
  if (color === undefined)
    given.set(name, (color = KNOWN.length + ((given.size - KNOWN.length) % (COLORS - KNOWN.length))));
  return `axis axis-${color}`;
}
