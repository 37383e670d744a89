// The texts that several views share.
import type { Said } from "./say";

export const COMMON = {
  random: [
    "The weights are random: this shows how the model computes, but nothing that it has learned.",
    "权重是随机的：这里只能看出模型怎样计算，看不出它学到了什么。",
  ],
  /** Between two sentences. */
  gap: [" ", ""],
  layer: ["Layer", "层"],
  position: ["Position", "位置"],
  probability: ["Probability", "概率"],
  token: ["Token", "Token"],
  rank: ["Rank", "排名"],
  positions: ["Positions {first} to {last} of {count}", "位置 {first} 到 {last}，共 {count} 个"],
  earlier: ["Earlier", "往前"],
  later: ["Later", "往后"],
} satisfies Record<string, Said>;
