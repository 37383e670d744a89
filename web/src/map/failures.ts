// The nodes that failed or that a check blames, and the edges that lead into them.
import { ancestors, operationOf, type PageIndex } from "../page_index";
import type { Check, CheckResult, Node, Page } from "../record";
import { diagnosisIn } from "../verdict";
import type { Language } from "../words/say";

export interface Failures {
  /** In the order in which they are told; the first is shown first. */
  nodes: readonly Node[];
  failed: ReadonlySet<number>;
  bad: ReadonlySet<number>;
  /** The text beside a node: "expects [..., 48]". */
  remarks: ReadonlyMap<number, readonly string[]>;
}

export function failuresOf(page: Page, index: PageIndex, language: Language): Failures {
  const nodes: Node[] = [];
  const remarks = new Map<number, readonly string[]>();
  const broken = page.trace.error ? failingNode(page, index) : undefined;
  if (broken) {
    nodes.push(broken);
    remarks.set(broken.id, remarkLines(diagnosisIn(page, language)));
  }
  for (const check of (page.check?.checks ?? []).filter((one) => one.holds === false)) {
    const node = blamedNode(check, page, index);
    if (!node) continue;
    if (!nodes.includes(node)) nodes.push(node);
    const others = (remarks.get(node.id) ?? []).filter((line) => line.startsWith("✗"));
    remarks.set(node.id, [...others, `✗ ${check.name}`, check.source?.text.trim() ?? ""].filter(Boolean));
  }
  const failed = new Set(nodes.map((node) => node.id));
  const bad = new Set(
    index.graph.edges.flatMap((edge, at) =>
      failed.has(edge.target) && edge.source !== edge.target ? [at] : [],
    ),
  );
  return { nodes, failed, bad, remarks };
}

/** The boxes that have to be open for a node to be seen. */
export function boxesAround(index: PageIndex, nodes: readonly Node[]): number[] {
  return [...new Set(nodes.flatMap((node) => ancestors(index, node).map((box) => box.id)))];
}

/** The innermost module call that failed; in it the operation, if the model's own code ran it. */
function failingNode(page: Page, index: PageIndex): Node | undefined {
  const { error, calls } = page.trace;
  const call =
    calls.findLast((one) => one.failed && one.path === error?.path) ?? calls.findLast((one) => one.failed);
  const node = call && index.places.get(call.index)?.node;
  if (!node || page.trace.error?.cause) return node;
  return (index.children.get(node.id) ?? []).find((one) => operationOf(index, one, 0)?.failed) ?? node;
}

/** Checks that fail, those with the same line and operation together. */
export function blames(check: Check | null): CheckResult[][] {
  const groups = new Map<string, CheckResult[]>();
  for (const one of (check?.checks ?? []).filter(({ holds }) => holds === false)) {
    const { file, line } = one.source ?? { file: one.name, line: 0 };
    const key = JSON.stringify([file, line, one.path, one.operation]);
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups.values()];
}

/** The operation that a check blames: by its line, or else by its name; the module where neither is known. */
export function blamedNode(check: CheckResult, page: Page, index: PageIndex): Node | undefined {
  const call = page.trace.calls.find((one) => one.path === (check.path ?? ""));
  const box = call && index.places.get(call.index)?.node;
  if (!box) return undefined;
  const inside = (index.children.get(box.id) ?? []).filter((node) => node.kind === "operation");
  const line = check.source ? `:${check.source.line}` : null;
  const named = inside.filter((node) => operationOf(index, node, 0)?.name === check.operation);
  return (
    named.find((node) => line !== null && operationOf(index, node, 0)?.source.endsWith(line)) ??
    named[0] ??
    box
  );
}

const EXPECTED = [
  /^[^:]*: (.*expects .*), (got .*?)(?:, (made by [^;]*))?(?:;.*)?$/s,
  /^[^：]*：(.*要的是.*)，(得到的是.*?)(?:，(由 [^；]*))?(?:；.*)?$/s,
];

/** "out_head: Linear expects [..., 48], got [1, 4, 192], made by final_norm" as lines without the module. */
function remarkLines(diagnosis: string): string[] {
  const match = EXPECTED.map((pattern) => pattern.exec(diagnosis)).find((found) => found !== null);
  return match ? match.slice(1).filter((line) => line !== undefined) : [];
}
