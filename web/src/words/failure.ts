// The texts of the failure view, which also shows the findings of `check`.
import type { Said } from "./say";

export const FAILURE = {
  region: ["Failure", "出错信息"],
  nothing: ["Nothing failed in this forward pass.", "这次前向传播没有出错。"],
  nothingChecked: ["Nothing failed, and every check that applies holds.", "没有出错，适用的检查全部成立。"],
  stopped: ["{type} in {path}", "{path} 中出现 {type}"],
  model: ["the model", "模型"],
  line: ["Your line", "你的代码行"],
  cause: ["Likely cause", "可能的原因"],
  got: ["Inputs received", "收到的输入"],
  message: ["Message", "消息"],
  unreached: ["Not reached", "未执行到"],
  unreachedHow: ["grey and dashed on the map", "在结构图中为灰色虚线"],
  otherChecks: ["All checks", "全部检查"],
  likely: ["Likely mistake", "可能的错误"],
  instead: ["Write instead", "应写为"],
  onMap: ["Show on the map", "在结构图中显示"],
  notJudged: ["not judged", "无法判断"],
} satisfies Record<string, Said>;
