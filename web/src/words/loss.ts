// The texts of the loss view.
import type { Said } from "./say";

export const LOSS = {
  lead: [
    "A stronger colour means that the model expected the token less, given the tokens before it.",
    "颜色越浓，说明模型根据前面的 token 越没有料到这个 token。",
  ],
  text: ["The text, tinted by surprisal", "按惊异度着色的文字"],
  legend: ["Probability that the model gave to the token", "模型给这个 token 的概率"],
  none: ["not predicted: there is nothing before it", "没有预测：它前面没有别的 token"],
  likely: ["≥ 50 %", "≥ 50 %"],
  chosen: ["Position {position}, {token}", "位置 {position}，{token}"],
  scored: [
    "The model gave it a probability of {probability}, rank {rank}. Its surprisal is −ln p = {surprisal} nats.",
    "模型给它的概率是 {probability}，排名 {rank}。惊异度 −ln p = {surprisal} nat。",
  ],
  unscored: ["The model does not predict it: there is nothing before it.", "模型没有预测它：它前面没有别的 token。"],
  unknown: ["Its probability is not a number.", "它的概率不是一个数。"],
  expected: ["The likeliest token there was {token}, with {probability}.", "那里最可能的是 {token}，概率为 {probability}。"],
  itself: ["It was the likeliest token.", "它就是最可能的 token。"],
  whole: ["The whole text", "整段文字"],
  mean: ["mean loss of this text", "这段文字的平均损失"],
  uniform: ["all tokens equally likely", "所有 token 概率相等"],
  nats: ["{loss} nats", "{loss} nat"],
  perplexity: [
    "The mean surprisal of the {count} predicted tokens is {loss} nats. Its perplexity, exp(loss), is {perplexity}: the model is as uncertain as if it had to choose among that many equally likely tokens each time.",
    "{count} 个被预测的 token 的平均惊异度是 {loss} nat。困惑度 exp(loss) 为 {perplexity}：模型的不确定程度，相当于每次都要在这么多个概率相等的 token 里选一个。",
  ],
  guessing: [
    "Random guessing among all {vocab} tokens would give ln {vocab} = {uniform} nats.",
    "在全部 {vocab} 个 token 里随机猜，损失是 ln {vocab} = {uniform} nat。",
  ],
  worse: ["The loss of this text is higher than that: the model expected other tokens.", "这段文字的损失比随机猜还高：模型料想的是别的 token。"],
  least: ["The least expected tokens", "最出乎意料的 token"],
  table: ["All tokens as a table", "全部 token 的表格"],
  surprisal: ["Surprisal", "惊异度"],
} satisfies Record<string, Said>;
