// The texts of the view of the residual stream.
import type { Said } from "./say";

export const STREAM = {
  lead: [
    "Each position carries a vector through the model, the residual stream; each step reads it and adds to it. The line shows the norm of the stream, the bars the norm of what each step adds.",
    "每个位置都有一个贯穿模型的向量，叫残差流；每一步读取它，再加上一个向量。折线是残差流的范数，柱是每一步所加向量的范数。",
  ],
  measured: [
    "At position {position}, {token}, the norm goes from {start} to {end}. {path} adds the most: {added}.",
    "在位置 {position} 的 {token} 处，范数从 {start} 变到 {end}。加得最多的是 {path}：{added}。",
  ],
  size: [
    "The norm is the length of the vector, √Σxᵢ². The vector that a step adds may point in another direction, so norms do not simply add up.",
    "范数是向量的长度 √Σxᵢ²。每一步所加的向量方向可能不同，所以范数不能简单相加。",
  ],
  chart: ["Norm of the stream and of what is added, step by step", "逐步的残差流范数，以及所加向量的范数"],
  chartText: [
    "A line from {start} to {end} in {count} steps; the table holds the same numbers.",
    "一条从 {start} 到 {end} 的折线，共 {count} 步；表格里是同样的数。",
  ],
  log: ["Logarithmic scale", "对数刻度"],
  stream: ["stream at position {position}", "位置 {position} 的残差流"],
  others: ["at the other positions", "其他位置"],
  adds: ["added by {name}", "{name} 加上的"],
  addsAttention: ["added by {name} (attention)", "{name} 加上的（注意力）"],
  steps: ["Step by step", "逐步"],
  step: ["Step", "步"],
  added: ["Added", "加上"],
  share: ["relative to the stream before", "与之前的残差流之比"],
  after: ["Stream after", "之后的残差流"],
  grid: ["Norm of the stream after each step, at each position", "每一步之后、每个位置的残差流范数"],
  gridLead: ["All positions: a stronger colour is a larger norm, on a logarithmic scale.", "所有位置：颜色越浓，范数越大（对数刻度）。"],
} satisfies Record<string, Said>;
