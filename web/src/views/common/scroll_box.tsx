// A region for content that may be wider than the screen; it takes the focus, so that keys can scroll it.
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

interface ScrollBoxProps {
  label: string;
  class?: string;
  /** When it changes, the element with the attribute `data-follow` is brought into sight. */
  follow?: string | number;
  children: ComponentChildren;
}

export function ScrollBox({ label, class: className = "", follow, children }: ScrollBoxProps) {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const followed = box.current?.querySelector("[data-follow]");
    if (box.current && followed) bringIntoSight(box.current, followed);
  }, [follow]);
  return (
    <div class={`scroll-box ${className}`} role="region" aria-label={label} tabIndex={0} ref={box}>
      {children}
    </div>
  );
}

/** Scrolls the box alone, never the page, and not along what is wider than the box. */
function bringIntoSight(box: HTMLElement, element: Element): void {
  const [outer, inner] = [box.getBoundingClientRect(), element.getBoundingClientRect()];
  const isBeside = inner.left < outer.left || inner.right > outer.right;
  if (isBeside && inner.width < outer.width) box.scrollLeft += (inner.left + inner.right - outer.left - outer.right) / 2;
  const isAbove = inner.top < outer.top || inner.bottom > outer.bottom;
  if (isAbove && inner.height < outer.height) box.scrollTop += (inner.top + inner.bottom - outer.top - outer.bottom) / 2;
}
