// The texts of the help, the search and the lesson.
import type { Said } from "./say";

export const HELP = {
  title: ["Keys", "快捷键"],
  close: ["Close", "关闭"],
  views: ["choose a view", "切换视图"],
  arrows: ["on the map: previous and next step in order of execution", "在结构图中：按执行顺序的上一步、下一步"],
  openClose: ["open and close a box; go in and out", "展开、收起模块；进入、离开"],
  enter: ["open a box, or show its details", "展开模块，或显示详情"],
  layer: ["previous and next layer", "上一层、下一层"],
  token: ["previous and next token", "上一个、下一个 token"],
  search: ["search modules and operations; in the table, filter the rows", "搜索模块与运算；在表格中则筛选各行"],
  fit: ["fit the map into the window", "使结构图适应窗口"],
  zoom: ["zoom; also Ctrl with the wheel, or two fingers", "缩放；也可用 Ctrl 加滚轮或双指"],
  teach: ["the lesson: next step", "讲解：下一步"],
  teachBack: ["the lesson: one step back", "讲解：上一步"],
  escape: ["close what is open, end the lesson", "关闭打开的内容，结束讲解"],
  help: ["show these keys", "显示这些快捷键"],
  signs: ["Legend of the map", "结构图的图例"],
  signModule: ["a module; a dark frame can be opened", "模块；深色边框可展开"],
  signOperation: ["an operation between modules", "模块之间的运算"],
  signParameter: ["a parameter or buffer that an operation uses", "运算所用的参数或缓冲区"],
  signSkip: ["a residual connection: added or concatenated later", "残差连接：之后再相加或拼接"],
  signLoop: ["equal blocks: each feeds the next", "相同的 block：前一个的输出进入后一个"],
  signUnreached: ["never ran", "未运行"],
} satisfies Record<string, Said>;

export const SEARCH = {
  title: ["Search modules and operations", "搜索模块与运算"],
  hint: ["Name, path or type", "名称、路径或类型"],
  results: ["Results", "结果"],
  none: ["Nothing matches.", "没有匹配项。"],
} satisfies Record<string, Said>;

export const LESSON = {
  title: ["Lesson", "讲解"],
  progress: ["{topic} of {topics}: {title}", "{topic} / {topics}：{title}"],
  step: ["{step} of {steps}", "{step} / {steps}"],
  back: ["Back", "上一步"],
  next: ["Next (space)", "下一步（空格）"],
  end: ["End (Esc)", "结束 (Esc)"],
  missing: ["This page has no explanations.", "本页没有讲解内容。"],
} satisfies Record<string, Said>;
