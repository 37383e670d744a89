// The texts of the frame around the views.
import type { ViewName } from "../views/view";
import type { Said } from "./say";

export const VIEW_TITLES: Record<ViewName, Said> = {
  map: ["Map", "结构图"],
  why: ["Why vocab_size", "为何是 vocab_size"],
  attention: ["Attention", "注意力"],
  lens: ["Lens", "逐层预测"],
  stream: ["Stream", "残差流"],
  loss: ["Loss", "损失"],
  table: ["Table", "表格"],
  failure: ["Failure", "出错"],
  mesh: ["Mesh", "设备网格"],
};

export const SHELL = {
  views: ["Views", "视图"],
  shapes: ["Shapes from input to output", "从输入到输出的形状"],
  tokens: [
    "Tokens of the prompt; the views follow the chosen one",
    "prompt 的各个 token；各视图随选中的 token 变化",
  ],
  token: ["Position {position}, token {text}, id {id}", "位置 {position}，token {text}，id {id}"],
  prompt: ["Prompt", "prompt"],
  language: ["中文", "English"],
  theme: ["Theme", "主题"],
  themeAuto: ["Theme: same as the system", "主题：跟随系统"],
  themeLight: ["Theme: light", "主题：浅色"],
  themeDark: ["Theme: dark", "主题：深色"],
  help: ["Help (?)", "帮助 (?)"],
  search: ["Search (/)", "搜索 (/)"],
  teach: ["Lesson (space)", "讲解（空格）"],
  leftOut: ["This page does not have this view.", "本页没有此视图。"],
  parameters: ["{count} parameters", "{count} 个参数"],
  randomWeights: ["random weights: the predictions mean nothing", "随机权重：预测没有意义"],
  unreadable: ["The data of this page could not be read.", "无法读取本页的数据。"],
  tooOld: [
    "This page needs a browser of 2023 or newer; this one has no DecompressionStream.",
    "本页需要 2023 年或更新的浏览器（它没有 DecompressionStream）。",
  ],
} satisfies Record<string, Said>;
