// Tokens as people see them.
import type { Token } from "./record";
import { visible } from "./visible";

/** Quoted text, the bytes of half a character, or the id where neither is known. */
export function tokenLabel(token: Token): string {
  if (token.text != null) return `"${visible(token.text.replace(/\\/g, "\\\\").replace(/"/g, '\\"'))}"`;
  if (token.bytes != null) return `<${token.bytes.match(/../g)?.join(" ") ?? ""}>`;
  return `id ${token.id}`;
}

/** The text without quotation marks, for a chip whose frame shows where it ends; spaces show as "·". */
export function tokenChip(token: Token): string {
  return token.text == null
    ? tokenLabel(token)
    : visible(token.text).replace(/^ +| +$/g, (space) => "·".repeat(space.length));
}
