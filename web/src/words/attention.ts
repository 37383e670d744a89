// What the view of the attention says.
import type { Said } from "./say";

export const ATTENTION = {
  lead: [
    "Each square is one head: a row for each token that looks, a column for each token that it looks at. The stronger the colour, the more weight; the weights of a row sum to 1.",
    "每个方块是一个头：每行是正在看的 token，每列是被看的 token。颜色越浓，权重越大；一行的权重之和为 1。",
  ],
  leadWithoutSum: [
    "Each square is one head: a row for each token that looks, a column for each token that it looks at. The stronger the colour, the more weight.",
    "每个方块是一个头：每行是正在看的 token，每列是被看的 token。颜色越浓，权重越大。",
  ],
  heads: ["Heads by layer; Enter enlarges one", "各层的头；按 Enter 放大"],
  headShort: ["head {number}", "头 {number}"],
  headOf: ["{path}, head {number}", "{path}，头 {number}"],
  headLabel: ["Layer {layer}, head {number}, entropy {entropy}: enlarge", "第 {layer} 层，头 {number}，熵 {entropy}：放大"],
  entropy: ["entropy {entropy}", "熵 {entropy}"],
  legend: ["Weight", "权重"],
  masked: ["masked: no look at later tokens", "掩码：不许看后面的 token"],
  maskedWindow: ["masked: later tokens, and those before the window of {window}", "掩码：后面的 token，以及窗口（{window}）之前的"],
  chosenRow: ["the row of the chosen token, {token}", "选中的 token {token} 所在的行"],
  entropyIs: [
    "The entropy (in nats, a mean over the rows) says how widely a head looks: 0 is a single token; weight shared evenly would be {even}.",
    "熵（单位 nat，各行的平均）说明一个头看得多分散：0 表示只看一个 token；平均分配则为 {even}。",
  ],
  rounded: ["The page keeps weights in steps of 1/255, about 0.4 %.", "本页以 1/255（约 0.4 %）为一级保存权重。"],
  recomputed: [
    "A fused kernel hides the weights. These are recomputed from its queries and keys; the output that they give and the kernel's differ by {difference} at most.",
    "融合算子不给出权重。这里的权重由它的 query 和 key 重新算出；由此得到的输出与算子的输出最多相差 {difference}。",
  ],
  recomputedOnly: [
    "A fused kernel hides the weights. These are recomputed from its queries and keys, and were not compared with its output.",
    "融合算子不给出权重。这里的权重由它的 query 和 key 重新算出，没有与它的输出比较。",
  ],
  most: ["Of the heads here, which looks most…", "这里的头中，哪个最爱看……"],
  previous: ["at the token before", "前一个 token"],
  first: ["at the first token", "第一个 token"],
  self: ["at its own token", "自己这个 token"],
  mostHead: ["layer {layer}, head {number}: {share}", "第 {layer} 层，头 {number}：{share}"],
  even: [
    "Averages over the queries from position 2 on; weight shared evenly would be {even}.",
    "从位置 2 起各 query 的平均；平均分配则为 {even}。",
  ],
  habits: [
    "On average over the queries from position 2 on: {previous} at the token before, {first} at the first token, {self} at its own. Shared evenly: {even}.",
    "从位置 2 起各 query 的平均：前一个 token {previous}，第一个 token {first}，自己 {self}；平均分配则为 {even}。",
  ],
  close: ["Close", "关闭"],
  enlarged: ["Weights: a row for each query, a column for each key", "权重：每个 query 一行，每个 key 一列"],
  query: ["Query", "Query"],
  key: ["Key", "Key"],
  queryKey: ["Query ↓ looks at key →", "query ↓ 看 key →"],
  maskedCell: ["masked", "掩码"],
  cell: ["query {query} → key {key}: {share}", "query {query} → key {key}：{share}"],
  fromTokens: ["The query of {token}, position {position}, takes from", "位置 {position} 的 {token} 作为 query，取自"],
  top: ["Most of its weight", "权重最大的"],
  weight: ["Weight", "权重"],
} satisfies Record<string, Said>;
