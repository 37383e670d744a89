// Many rows are drawn in several frames, so that the first ones are seen at once. On paper they are all there.
import { createContext } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";

const ROWS_OF_A_FRAME = 24;

/** True where a view is drawn once and for good, as for paper. */
export const AtOnce = createContext(false);

/** How many of the rows to draw now; at least those up to the chosen one. */
export function useRowsInSteps(count: number, chosen: number): number {
  const isAtOnce = useContext(AtOnce);
  const [drawn, setDrawn] = useState(ROWS_OF_A_FRAME);
  useEffect(() => {
    if (isAtOnce || drawn >= count) return;
    // The first timer after a frame: what was drawn has been painted.
    let timer = 0;
    const frame = requestAnimationFrame(() => (timer = setTimeout(() => setDrawn(drawn + ROWS_OF_A_FRAME))));
    return () => {
      cancelAnimationFrame(frame);
      clearTimeout(timer);
    };
  }, [drawn, count, isAtOnce]);
  return isAtOnce ? count : Math.min(count, Math.max(drawn, chosen + 1));
}
