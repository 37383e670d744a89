// Sentences of a report: text in backquotes is code.
import { visible } from "../visible";

// Quoted text, in which a backquote does not begin code; then code in backquotes.
const QUOTED_OR_CODE = /("(?:\\.|[^"\\])*")|`([^`]+)`/g;

export interface Span {
  text: string;
  isCode: boolean;
}

export function codeSpans(text: string): Span[] {
  const spans: Span[] = [];
  let start = 0;
  for (const match of text.matchAll(QUOTED_OR_CODE)) {
    if (match[2] === undefined) continue;
    spans.push({ text: text.slice(start, match.index), isCode: false }, { text: match[2], isCode: true });
    start = match.index + match[0].length;
  }
  return [...spans, { text: text.slice(start), isCode: false }].filter((span) => span.text !== "");
}

export function Prose({ text }: { text: string }) {
  return (
    <>
      {codeSpans(text).map((span, at) =>
        span.isCode ? <code key={at}>{visible(span.text)}</code> : visible(span.text),
      )}
    </>
  );
}

export function Verdict({ holds }: { holds: boolean | null | undefined }) {
  const [sign, name] = holds == null ? ["–", "none"] : holds ? ["✓", "good"] : ["✗", "bad"];
  return <span class={`verdict ${name}`}>{sign}</span>;
}
