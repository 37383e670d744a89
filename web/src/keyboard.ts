// Keys that work everywhere in the page; a view adds its own while it is shown.
import { useEffect, useRef } from "preact/hooks";

export type Keys = Record<string, () => void>;

const TYPING = "input:not([type=range]):not([type=checkbox]), textarea, select, [contenteditable]";
const PRESSED_BY_SPACE = `${TYPING}, button, a, summary, input`;

/**
 * Runs a function when its key is pressed: `useKeys({ f: fit, "?": help })`. The key is that of the event,
 * or "Shift ".
 */
export function useKeys(keys: Keys): void {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const run = latest.current[event.shiftKey && event.key === " " ? "Shift " : event.key];
      if (!run || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      const target = event.target instanceof Element ? event.target : null;
      if (event.key !== "Escape" && target?.closest(event.key === " " ? PRESSED_BY_SPACE : TYPING)) return;
      event.preventDefault();
      run();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}
