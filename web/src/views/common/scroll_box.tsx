// A region of its own for what may be wider than the screen; it takes the focus, so that keys can scroll it.
import type { ComponentChildren } from "preact";

interface ScrollBoxProps {
  label: string;
  class?: string;
  children: ComponentChildren;
}

export function ScrollBox({ label, class: className = "", children }: ScrollBoxProps) {
  return (
    <div class={`scroll-box ${className}`} role="region" aria-label={label} tabIndex={0}>
      {children}
    </div>
  );
}
