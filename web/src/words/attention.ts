// The texts of the attention view.
import type { Said } from "./say";

export const ATTENTION = {
  lead: [
    "Each square is one head: each row is a token that looks, the query; each column is a token that it looks at, the key. A stronger colour is a larger weight; the weights of a row sum to 1.",
    "每个方块是一个头：每行是正在看的 token，即 query；每列是被看的 token，即 key。颜色越浓，权重越大；每行的权重之和为 1。",
  ],
  leadWithoutSum: [
    "Each square is one head: each row is a token that looks, the query; each column is a token that it looks at, the key. A stronger colour is a larger weight.",
    "每个方块是一个头：每行是正在看的 token，即 query；每列是被看的 token，即 key。颜色越浓，权重越大。",
  ],
  heads: ["Heads by layer; Enter enlarges one", "各层的头；按 Enter 放大"],
  headShort: ["head {number}", "头 {number}"],
  headOf: ["{path}, head {number}", "{path}，头 {number}"],
  headLabel: ["Layer {layer}, head {number}, entropy {entropy}: enlarge", "第 {layer} 层，头 {number}，熵 {entropy}：放大"],
  entropy: ["entropy {entropy}", "熵 {entropy}"],
  legend: ["Weight", "权重"],
  masked: ["masked: later tokens", "被掩码：后面的 token"],
  maskedWindow: ["masked: later tokens, and those before the window of {windows} tokens", "被掩码：后面的 token，以及 {windows} 个 token 的窗口之前的 token"],
  chosenRow: ["the row of the chosen token, {token}", "选中的 token {token} 所在的行"],
  entropyIs: [
    "The entropy of a head, in nats and averaged over the rows, says how widely it looks: 0 is a single token; evenly shared weights would give {even}.",
    "头的熵（单位 nat，各行的平均值）说明它看得多分散：0 表示只看一个 token；若权重平均分配，则为 {even}。",
  ],
  rounded: ["The page stores weights in steps of 1/255, about 0.4 %.", "本页保存的权重以 1/255（约 0.4 %）为一级。"],
  recomputed: [
    "A fused kernel does not return its weights. These are recomputed from its queries and keys; the output that they give differs from the kernel's by at most {difference}.",
    "融合算子不返回权重。这里的权重由它的 query 和 key 重新算出；用它们得到的输出与算子的输出最多相差 {difference}。",
  ],
  recomputedOnly: [
    "A fused kernel does not return its weights. These are recomputed from its queries and keys, and were not compared with its output.",
    "融合算子不返回权重。这里的权重由它的 query 和 key 重新算出，没有与它的输出比较过。",
  ],
  most: ["The heads that look most:", "这里的头中，最爱看以下 token 的："],
  previous: ["at the previous token", "前一个 token"],
  first: ["at the first token", "第一个 token"],
  self: ["at the query's own token", "query 自己的 token"],
  mostHead: ["layer {layer}, head {number}: {share}", "第 {layer} 层，头 {number}：{share}"],
  even: [
    "Averages over the queries from position 2 on; evenly shared weights would give {even}.",
    "位置 2 及以后各 query 的平均值；若权重平均分配，则为 {even}。",
  ],
  habits: [
    "On average over the queries from position 2 on, {previous} of the weight is on the previous token, {first} on the first token, and {self} on the query's own. Evenly shared weights would give {even}.",
    "位置 2 及以后各 query 的平均权重：前一个 token 占 {previous}，第一个 token 占 {first}，query 自己的 token 占 {self}；若平均分配，则为 {even}。",
  ],
  close: ["Close", "关闭"],
  enlarged: ["Weights: a row for each query, a column for each key", "权重：每个 query 一行，每个 key 一列"],
  query: ["Query", "Query"],
  key: ["Key", "Key"],
  queryKey: ["Query ↓ looks at key →", "query ↓ 看 key →"],
  maskedCell: ["masked", "被掩码"],
  cell: ["query {query} → key {key}: {share}", "query {query} → key {key}：{share}"],
  fromTokens: ["Weights of the query {token}, position {position}", "query {token}（位置 {position}）的权重"],
  top: ["Largest weights", "最大的权重"],
  weight: ["Weight", "权重"],
} satisfies Record<string, Said>;
