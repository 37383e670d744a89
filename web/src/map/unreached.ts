// Modules that never ran are drawn as well, in the box that they belong to, without an edge.
import type { Graph, Node, Page } from "../record";

/** A graph with nodes for modules that never ran; `unreached` has the module path of each of these nodes. */
export interface WholeGraph extends Graph {
  unreached: ReadonlyMap<number, string>;
}

const MOST_OF_A_BOX = 8;

export function withUnreached(page: Page): WholeGraph {
  const nodes = [...page.graph.nodes];
  const unreached = new Map<number, string>();
  const boxes = boxesByPath(page);
  let id = 1 + Math.max(-1, ...nodes.map((node) => node.id));
  for (const [box, paths] of grouped(topPaths(page), boxes)) {
    for (const { label, path } of merged(paths)) {
      unreached.set(id, path);
      nodes.push({ id, parent: box.id, kind: "module", label });
      id += 1;
    }
  }
  return { nodes: inOrder(nodes), edges: page.graph.edges, unreached };
}

/** A box before what it contains, as in the record; new nodes come last in their box. */
function inOrder(nodes: readonly Node[]): Node[] {
  const children = new Map<number | null, Node[]>();
  for (const node of nodes) {
    const siblings = children.get(node.parent ?? null);
    if (siblings) siblings.push(node);
    else children.set(node.parent ?? null, [node]);
  }
  const ordered: Node[] = [];
  const visit = (box: number | null) => {
    for (const node of children.get(box) ?? []) {
      ordered.push(node);
      visit(node.id);
    }
  };
  visit(null);
  return ordered;
}

function boxesByPath(page: Page): Map<string, Node> {
  const boxes = new Map<string, Node>();
  for (const node of page.graph.nodes) {
    const call = node.kind === "module" && node.call != null ? page.trace.calls[node.call] : undefined;
    if (call && !boxes.has(call.path)) boxes.set(call.path, node);
  }
  return boxes;
}

/** Paths that never ran, without those inside of one of them, and without lists whose modules ran. */
function topPaths(page: Page): string[] {
  const called = page.trace.calls.map((call) => call.path);
  const isUsed = (path: string) => called.some((one) => one.startsWith(`${path}.`));
  const unused = page.trace.uncalled.filter((path) => path !== "" && !isUsed(path));
  const all = new Set(unused);
  const hasUnusedParent = (path: string) => {
    for (let dot = path.lastIndexOf("."); dot > 0; dot = path.lastIndexOf(".", dot - 1))
      if (all.has(path.slice(0, dot))) return true;
    return false;
  };
  return unused.filter((path) => !hasUnusedParent(path));
}

function grouped(paths: readonly string[], boxes: ReadonlyMap<string, Node>): Map<Node, string[]> {
  const groups = new Map<Node, string[]>();
  for (const path of paths) {
    let around = path;
    let box: Node | undefined;
    while (!box && around !== "") {
      around = around.includes(".") ? around.slice(0, around.lastIndexOf(".")) : "";
      box = boxes.get(around);
    }
    if (box) groups.set(box, [...(groups.get(box) ?? []), path]);
  }
  return groups;
}

/** Modules that are numbered in a row are one node, and a long rest is one as well. */
function merged(paths: readonly string[]): { label: string; path: string }[] {
  const rows: { label: string; path: string; first: string; stem: string; last: number }[] = [];
  for (const path of paths) {
    const [, stem = "", number] = /^(.*?)(\d+)?$/s.exec(path) ?? [];
    const before = rows.at(-1);
    if (before && number !== undefined && before.stem === stem && before.last + 1 === Number(number)) {
      before.last += 1;
      before.label = `${before.first}–${number}`;
      before.path = `${stem}${before.first}–${number}`;
    } else {
      const name = path.slice(path.lastIndexOf(".") + 1);
      rows.push({
        label: name,
        path,
        first: number ?? name,
        stem,
        last: number === undefined ? NaN : Number(number),
      });
    }
  }
  if (rows.length <= MOST_OF_A_BOX) return rows;
  const rest = rows.slice(MOST_OF_A_BOX - 1);
  return [
    ...rows.slice(0, MOST_OF_A_BOX - 1),
    { label: `+ ${rest.length}`, path: rest.map((row) => row.path).join(", ") },
  ];
}
