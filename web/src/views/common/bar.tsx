// A bar whose length is a share; the number stands beside it, so it is not read aloud.

export function Bar({ part, class: className = "" }: { part: number; class?: string }) {
  const width = Number.isFinite(part) ? Math.max(0, Math.min(1, part)) : 0;
  return (
    <span class={`bar ${className}`} aria-hidden="true">
      <span style={{ width: `${100 * width}%` }} />
    </span>
  );
}
