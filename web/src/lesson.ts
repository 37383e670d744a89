// The lesson: the claims of `gptrace explain`, one after the other, each with the nodes that it is about.
import { boxesAround } from "./map/failures";
import { operationOf, type PageIndex } from "./page_index";
import { codeSpans } from "./parts/prose";
import type { Claim, Explanation, Node, Page, Topic } from "./record";
import type { Language } from "./words/say";

export interface Step {
  topic: Topic;
  /** Number of the topic among all, and of the claim in its topic, from 0. */
  topicAt: number;
  claimAt: number;
  claim: Claim;
  nodes: readonly Node[];
  /** The boxes that have to be open for the nodes to be seen. */
  open: readonly number[];
  /** The block that the claim names; null where it names none. */
  layer: number | null;
}

// The operations of a claim about attention; a fused kernel does all of them.
const FUSED = "scaled_dot_product_attention";
const MASKING = ["masked_fill", "masked_fill_", "where", "tril", "triu"];
const OPERATIONS: Record<string, readonly string[]> = {
  attention_scores: ["matmul", "bmm", "einsum", "div", "mul"],
  attention_mask: MASKING,
  attention_mask_after: MASKING,
  attention_weights: ["softmax"],
  attention_values: ["matmul", "bmm", "einsum"],
};

export function explanationOf(page: Page, language: Language): Explanation | undefined {
  const all = page.explanations ?? [];
  return all.find((one) => one.language === language) ?? all[0];
}

export function stepsOf(page: Page, index: PageIndex, language: Language): Step[] {
  const topics = explanationOf(page, language)?.topics ?? [];
  const steps: Step[] = [];
  topics.forEach((topic, topicAt) => {
    let spokenOf: Place[] = [];
    const others = othersOf(topic.topic, index);
    topic.claims.forEach((claim, claimAt) => {
      const named = placesIn(`${claim.text} ${claim.measured}`, page, index);
      if (named.length > 0 || topic.topic !== "attention") spokenOf = named;
      const modules = spokenOf.length > 0 ? spokenOf.map((place) => place.node) : others(claim.key);
      const operations = modules.flatMap((node) => operationsOf(claim.key, node, index));
      const nodes = operations.length > 0 ? operations : modules;
      const layer = spokenOf.find((place) => place.layer !== null)?.layer ?? null;
      steps.push({ topic, topicAt, claimAt, claim, nodes, open: boxesAround(index, nodes), layer });
    });
  });
  return steps;
}

/** The subject of a claim that names no module: the text, the blocks, or the logits. */
function othersOf(topic: string, index: PageIndex): (key: string) => Node[] {
  const ends = (kind: Node["kind"]) => (index.children.get(null) ?? []).filter((node) => node.kind === kind);
  const blocks = index.graph.nodes.filter((node) => (node.layers?.length ?? 0) > 1).slice(0, 1);
  return (key) => {
    if (key === "tokens") return ends("input");
    if (key === "blocks") return blocks;
    return topic === "flow" || topic === "attention" ? [] : ends("output");
  };
}

interface Place {
  node: Node;
  layer: number | null;
}

/** The modules whose paths are code in a text. */
function placesIn(text: string, page: Page, index: PageIndex): Place[] {
  const names = new Set(
    codeSpans(text)
      .filter((span) => span.isCode)
      .map((span) => span.text),
  );
  const places = new Map<number, Place>();
  for (const call of page.trace.calls) {
    const place = names.has(call.path) ? index.places.get(call.index) : undefined;
    if (place && !places.has(place.node.id)) places.set(place.node.id, place);
  }
  return [...places.values()];
}

function operationsOf(key: string, box: Node, index: PageIndex): Node[] {
  const wanted = OPERATIONS[key];
  if (!wanted) return [];
  const inside = (index.children.get(box.id) ?? []).filter((node) => node.kind === "operation");
  const named = (names: readonly string[]) =>
    inside.filter((node) => names.includes(operationOf(index, node, 0)?.name ?? ""));
  const fused = named([FUSED]);
  if (fused.length > 0) return fused;
  const softmax = inside.findIndex((node) => operationOf(index, node, 0)?.name === "softmax");
  if (softmax < 0) return [];
  const isAfter = key === "attention_values";
  return named(wanted)
    .filter((node) => key === "attention_weights" || inside.indexOf(node) > softmax === isAfter)
    .slice(0, isAfter ? 1 : undefined);
}
