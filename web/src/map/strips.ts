// Nodes that follow each other without a branch form a strip, which is laid out as one node. A connection that
// skips nodes of the strip, such as a residual connection, is not a branch: it runs beside the strip.

export interface Link {
  source: number;
  target: number;
  isSkip: boolean;
}

/** Groups ids into strips, each in the order of its links. */
export function stripsOf(ids: readonly number[], links: readonly Link[]): number[][] {
  const leaving = new Map<number, number>();
  const entering = new Map<number, number>();
  const main = links.filter((link) => !link.isSkip);
  for (const { source, target } of main) {
    leaving.set(source, (leaving.get(source) ?? 0) + 1);
    entering.set(target, (entering.get(target) ?? 0) + 1);
  }
  const joined = main.filter(({ source, target }) => leaving.get(source) === 1 && entering.get(target) === 1);
  const next = new Map(joined.map(({ source, target }) => [source, target]));
  const followers = new Set(joined.map(({ target }) => target));
  const strips: number[][] = [];
  const placed = new Set<number>();
  const follow = (first: number) => {
    const strip: number[] = [];
    for (let id: number | undefined = first; id !== undefined && !placed.has(id); id = next.get(id)) {
      placed.add(id);
      strip.push(id);
    }
    strips.push(strip);
  };
  for (const id of ids) if (!followers.has(id)) follow(id);
  for (const id of ids) if (!placed.has(id)) follow(id); // the rest are circles
  return strips;
}

/** The links that skip nodes: a longer way leads to the same node. */
export function skipsOf<L extends { source: number; target: number }>(links: readonly L[]): Set<L> {
  const targets = new Map<number, number[]>();
  for (const { source, target } of links) {
    const known = targets.get(source);
    if (known) known.push(target);
    else targets.set(source, [target]);
  }
  return new Set(links.filter((link) => hasDetour(link.source, link.target, targets)));
}

function hasDetour(source: number, target: number, targets: ReadonlyMap<number, readonly number[]>): boolean {
  const waiting = (targets.get(source) ?? []).filter((id) => id !== target);
  const seen = new Set([source, ...waiting]);
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (id === target) return true;
    for (const further of targets.get(id) ?? []) {
      if (!seen.has(further)) {
        seen.add(further);
        waiting.push(further);
      }
    }
  }
  return false;
}
