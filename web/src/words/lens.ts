// The texts of the lens view.
import type { Said } from "./say";

export const LENS = {
  lead: [
    "Each cell is the next token that would be predicted at this position if the model ended after this layer. The last row is the model's own prediction.",
    "每一格是假如模型到这一层就结束，在这个位置会预测的下一个 token。最后一行是模型自己的预测。",
  ],
  grid: ["Predictions by layer and position", "各层、各位置的预测"],
  legend: ["# and tint: rank of the model's final prediction in that layer", "# 和底色：模型最终预测在这一层的排名"],
  detail: ["After position {position}, {token}: layer {layer}", "位置 {position} 的 {token} 之后：第 {layer} 层"],
  candidates: ["Predictions of this layer", "这一层的预测"],
  finalHere: ["The model's final prediction, {final}, has rank {rank} here.", "模型的最终预测 {final} 在这里排名 {rank}。"],
  finalHereWith: [
    "The model's final prediction, {final}, has rank {rank} here, and a probability of {probability}.",
    "模型的最终预测 {final} 在这里排名 {rank}，概率为 {probability}。",
  ],
  path: ["How {final} gets to the top", "{final} 怎样升到第一"],
  always: ["{final} is first in every layer.", "{final} 在每一层都排第一。"],
  settled: [
    "{final} has rank {rank} in the first layer, and stays first from layer {layer} on.",
    "{final} 在第一层排名 {rank}，从第 {layer} 层起一直排第一。",
  ],
  // It may have been first in an earlier layer.
  settledLast: [
    "{final} has rank {rank} in the first layer, and is not first in the layer before the last.",
    "{final} 在第一层排名 {rank}，在倒数第二层不是第一。",
  ],
  first: ["Likeliest", "最可能的"],
  rankOf: ["Rank of {final}", "{final} 的排名"],
  probabilityOf: ["Probability of {final}", "{final} 的概率"],
  head: [
    "Each layer's output goes through the model's own last steps. These are made for the last layer only; earlier layers may hold more than this shows.",
    "每一层的输出都经过模型自己的最后几步。这几步只是为最后一层准备的；前面的层里可能还有这里看不到的信息。",
  ],
} satisfies Record<string, Said>;
