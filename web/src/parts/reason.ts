// The reason why a view, or a part of it, is not there, as a sentence.
import type { LeftOut } from "../record";
import { visible } from "../visible";
import type { Say } from "../words/say";

/** Words that a reason may begin with; anything else may be the name of a module, which keeps its letters. */
const FIRST_WORDS = /^(?:the|a|no|in|of|there)\b/;

export function reasonText(part: LeftOut, say: Say): string {
  const reason = visible(say([part.reason, part.reason_zh]));
  const end = /[.!?。！？]$/.test(reason) ? "" : say([".", "。"]);
  return reason.replace(FIRST_WORDS, (word) => word[0]?.toUpperCase() + word.slice(1)) + end;
}
