// Nodes that follow each other without a branch form a strip, which is laid out as one node.

export interface Link {
  source: number;
  target: number;
}

/** Groups ids into strips, each in the order of its links; `box` is the id of the box around them. */
export function stripsOf(ids: readonly number[], links: readonly Link[], box: number | null): number[][] {
  const leaving = new Map<number, Link[]>();
  const entering = new Map<number, Link[]>();
  for (const link of links) {
    leaving.set(link.source, [...(leaving.get(link.source) ?? []), link]);
    entering.set(link.target, [...(entering.get(link.target) ?? []), link]);
  }
  const next = new Map<number, number>();
  const previous = new Map<number, number>();
  for (const { source, target } of links) {
    if (source === box || target === box || source === target) continue;
    if (leaving.get(source)?.length === 1 && entering.get(target)?.length === 1) {
      next.set(source, target);
      previous.set(target, source);
    }
  }
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
  for (const id of ids) if (!previous.has(id)) follow(id);
  for (const id of ids) if (!placed.has(id)) follow(id); // the rest are circles
  return strips;
}

/** The edges that a longer way goes around: a residual connection is one. */
export function skipsOf<L extends Link>(links: readonly L[], box: number | null): Set<L> {
  const targets = new Map<number, number[]>();
  for (const { source, target } of links) {
    if (source !== target) targets.set(source, [...(targets.get(source) ?? []), target]);
  }
  return new Set(links.filter((link) => link.source !== link.target && hasDetour(link, targets, box)));
}

function hasDetour({ source, target }: Link, targets: ReadonlyMap<number, readonly number[]>, box: number | null): boolean {
  const waiting = (targets.get(source) ?? []).filter((id) => id !== target);
  const seen = new Set(waiting);
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (id === target) return true;
    if (id === box) continue; // out of the box: nothing leads on from there
    for (const further of targets.get(id) ?? []) {
      if (!seen.has(further) && further !== source) {
        seen.add(further);
        waiting.push(further);
      }
    }
  }
  return false;
}
