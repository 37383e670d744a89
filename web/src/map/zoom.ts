// Moving and zooming the map: drag and pinch, wheel to move, Ctrl with the wheel to zoom, and by program.
import { select } from "d3-selection";
import "d3-transition";
import { zoom as zoomBehaviour, zoomIdentity, zoomTransform, type ZoomBehavior } from "d3-zoom";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import type { RefObject } from "preact";

export interface Area {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface View {
  /** Shows all of an area, not larger than `largest`; what does not fit is shown from its top. */
  show: (area: Area, limits?: { smallest?: number; largest?: number }, isAtOnce?: boolean) => void;
  /** Moves as little as needed for an area to be seen. */
  reveal: (area: Area) => void;
  by: (factor: number) => void;
}

const LIMITS: [number, number] = [0.08, 4];
const MARGIN = 16;

export function useZoom(svg: RefObject<SVGSVGElement | null>, content: RefObject<SVGGElement | null>): View {
  const zoom = useRef<ZoomBehavior<SVGSVGElement, unknown> | null>(null);
  useLayoutEffect(() => {
    if (!svg.current) return;
    const behaviour = zoomBehaviour<SVGSVGElement, unknown>()
      .scaleExtent(LIMITS)
      .filter((event: WheelEvent & MouseEvent) => (event.type === "wheel" ? event.ctrlKey || event.metaKey : !event.button))
      .on("zoom", ({ transform }) => content.current?.setAttribute("transform", String(transform)));
    const selected = select(svg.current).call(behaviour).on("dblclick.zoom", null);
    selected.on("wheel.move", (event: WheelEvent) => {
      if (event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      const scale = zoomTransform(event.currentTarget as SVGSVGElement).k;
      const unit = event.deltaMode === 1 ? 18 : 1;
      const [x, y] = event.shiftKey && event.deltaX === 0 ? [event.deltaY, 0] : [event.deltaX, event.deltaY];
      behaviour.translateBy(selected, (-x * unit) / scale, (-y * unit) / scale);
    });
    zoom.current = behaviour;
    return () => {
      selected.on(".zoom", null).on("wheel.move", null);
    };
  }, []);
  return useMemo(() => view(svg, zoom), []);
}

function view(svg: RefObject<SVGSVGElement | null>, zoom: RefObject<ZoomBehavior<SVGSVGElement, unknown> | null>): View {
  const go = (scale: number, x: number, y: number, isAtOnce = false) => {
    if (!svg.current || !zoom.current) return;
    const target = select(svg.current);
    const to = zoomIdentity.translate(x, y).scale(scale);
    target.interrupt();
    if (isAtOnce || matchMedia("(prefers-reduced-motion: reduce)").matches) zoom.current.transform(target, to);
    else zoom.current.transform(target.transition().duration(220), to);
  };
  return {
    show(area, { smallest = LIMITS[0], largest = 1 } = {}, isAtOnce = false) {
      if (!svg.current) return;
      const { clientWidth: width, clientHeight: height } = svg.current;
      const fitting = Math.min((width - 2 * MARGIN) / area.width, (height - 2 * MARGIN) / area.height);
      const scale = Math.max(smallest, Math.min(largest, fitting));
      const x = width / 2 - (area.x + area.width / 2) * scale;
      const free = height - area.height * scale;
      const y = free > 2 * MARGIN ? free / 2 - area.y * scale : MARGIN - area.y * scale;
      go(scale, x, y, isAtOnce);
    },
    reveal(area) {
      if (!svg.current) return;
      const { clientWidth: width, clientHeight: height } = svg.current;
      const { k, x, y } = zoomTransform(svg.current);
      const dx = shift(area.x * k + x, (area.x + area.width) * k + x, width);
      const dy = shift(area.y * k + y, (area.y + area.height) * k + y, height);
      if (dx !== 0 || dy !== 0) go(k, x + dx, y + dy);
    },
    by(factor) {
      if (svg.current && zoom.current) zoom.current.scaleBy(select(svg.current), factor);
    },
  };
}

/** How far to move so that the span from `start` to `end` is within 0 and `room`; its start wins. */
function shift(start: number, end: number, room: number): number {
  if (start < MARGIN) return MARGIN - start;
  return end > room - MARGIN ? Math.max(MARGIN - start, room - MARGIN - end) : 0;
}
