// What the view of the residual stream says.
import type { Said } from "./say";

export const STREAM = {
  lead: [
    "Each position carries a vector through the model, the residual stream; each step reads it and adds to it. The line shows the size of the stream, the bars the size of what each step adds.",
    "每个位置都有一个贯穿模型的向量，叫残差流；每一步读取它，再往里加。折线是残差流的大小，柱是每一步加进去的大小。",
  ],
  measured: [
    "At position {position}, {token}, the size goes from {start} to {end}. {path} adds the most: {added}.",
    "在位置 {position} 的 {token} 处，大小从 {start} 变到 {end}。加得最多的是 {path}：{added}。",
  ],
  size: [
    "Size is the length of the vector, √Σxᵢ². What is added may point another way, so sizes do not simply add up.",
    "大小是向量的长度 √Σxᵢ²。加进去的向量方向可能不同，所以大小不是简单相加。",
  ],
  chart: ["Size of the stream and of what is added, step by step", "残差流的大小，以及每一步加进去的大小"],
  chartText: [
    "A line from {start} to {end} in {count} steps; the table holds the same numbers.",
    "一条从 {start} 到 {end} 的折线，共 {count} 步；表格里有同样的数。",
  ],
  log: ["Logarithmic scale", "对数刻度"],
  stream: ["stream at position {position}", "位置 {position} 的残差流"],
  others: ["at the other positions", "其他位置"],
  adds: ["what {name} adds", "{name} 加进去的"],
  addsAttention: ["what {name} adds (attention)", "{name} 加进去的（注意力）"],
  steps: ["Step by step", "逐步"],
  step: ["Step", "步"],
  added: ["Adds", "加进"],
  share: ["of the stream before", "占之前的残差流"],
  after: ["Stream after it", "之后的残差流"],
  grid: ["Size of the stream after each step, at each position", "每一步之后、每个位置的残差流大小"],
  gridLead: ["All positions: the stronger the colour, the longer the vector (the scale is logarithmic).", "所有位置：颜色越浓，向量越长（对数刻度）。"],
} satisfies Record<string, Said>;
