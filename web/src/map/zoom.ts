// Moving and zooming the map: drag and pinch, wheel to move, Ctrl with the wheel to zoom, and by program.
import type { RefObject } from "preact";
import { useLayoutEffect, useMemo } from "preact/hooks";

export interface Area {
  x: number;
  y: number;
  width: number;
  height: number;
}

interface Limits {
  smallest?: number;
  largest?: number;
}

export interface View {
  /**
   * Shows all of an area, with a scale within the limits; what does not fit is shown from its top. Of one that is
   * too wide, its `core` is shown.
   */
  show: (area: Area, how?: Limits & { core?: Area | undefined }, isAtOnce?: boolean) => void;
  /** Shows an area, if possible without a change of the scale, of which a reader would have to find the place again. */
  showAtScale: (area: Area, limits: Required<Limits>) => void;
  /** Moves as little as needed for an area to be seen; one that is far away comes to the middle. */
  reveal: (area: Area) => void;
  by: (factor: number) => void;
}

interface Transform {
  scale: number;
  x: number;
  y: number;
}

interface Point {
  x: number;
  y: number;
}

const [SMALLEST, LARGEST] = [0.08, 4];
const LEAST_LEGIBLE = 0.5;
const MARGIN = 16;
const DRAG = 4; // pixels after which a press is a drag and no click
const DURATION = 220;

export function useZoom(svg: RefObject<SVGSVGElement | null>, content: RefObject<SVGGElement | null>): View {
  const camera = useMemo(() => new Camera(svg, content), []);
  useLayoutEffect(() => camera.listen(), []);
  return camera;
}

class Camera implements View {
  private at: Transform = { scale: 1, x: 0, y: 0 };
  private frame = 0;
  private readonly fingers = new Map<number, Point>();
  private isDragging = false;
  private pressedAt: Point = { x: 0, y: 0 };

  constructor(
    private readonly svg: RefObject<SVGSVGElement | null>,
    private readonly content: RefObject<SVGGElement | null>,
  ) {}

  show(
    whole: Area,
    { smallest = SMALLEST, largest = 1, core }: Limits & { core?: Area | undefined } = {},
    isAtOnce = false,
  ): void {
    const { width, height } = this.size();
    const isTooWide = whole.width * smallest > width - 2 * MARGIN;
    const area = isTooWide && core ? { ...whole, x: core.x, width: core.width } : whole;
    const toWidth = (width - 2 * MARGIN) / area.width;
    const fitting = Math.min(toWidth, (height - 2 * MARGIN) / area.height);
    // What is too high is read from its top on; what is too wide would be cut on both sides.
    const scale = clamp(fitting, Math.min(smallest, Math.max(toWidth, LEAST_LEGIBLE)), largest);
    const free = height - area.height * scale;
    const x = width / 2 - (area.x + area.width / 2) * scale;
    const y = (free > 2 * MARGIN ? free / 2 : MARGIN) - area.y * scale;
    this.go({ scale, x, y }, isAtOnce);
  }

  showAtScale(area: Area, { smallest, largest }: Required<Limits>): void {
    const scale = clamp(this.at.scale, smallest, largest);
    this.show(area, { smallest: Math.min(smallest, scale), largest: scale });
  }

  reveal(area: Area): void {
    const { width, height } = this.size();
    const { scale, x, y } = this.at;
    const dx = shift(area.x * scale + x, (area.x + area.width) * scale + x, width);
    const dy = shift(area.y * scale + y, (area.y + area.height) * scale + y, height);
    if (dx !== 0 || dy !== 0) this.go({ scale, x: x + dx, y: y + dy });
  }

  by(factor: number): void {
    const { width, height } = this.size();
    this.zoomAt({ x: width / 2, y: height / 2 }, factor);
  }

  listen(): () => void {
    const svg = this.svg.current;
    if (!svg) return () => undefined;
    const ending = new AbortController();
    const { signal } = ending;
    svg.addEventListener("wheel", (event) => this.wheel(event), { signal, passive: false });
    svg.addEventListener("pointerdown", (event) => this.press(event), { signal });
    svg.addEventListener("pointermove", (event) => this.move(event), { signal });
    for (const name of ["pointerup", "pointercancel"] as const)
      svg.addEventListener(name, (event) => this.release(event), { signal });
    return () => ending.abort();
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 18 : 1;
    if (event.ctrlKey || event.metaKey) {
      this.zoomAt(this.pointOf(event), 2 ** (-event.deltaY * unit * 0.004));
      return;
    }
    const [dx, dy] = event.shiftKey && event.deltaX === 0 ? [event.deltaY, 0] : [event.deltaX, event.deltaY];
    this.put({ ...this.at, x: this.at.x - dx * unit, y: this.at.y - dy * unit });
  }

  private press(event: PointerEvent): void {
    if (event.button !== 0) return;
    if (this.fingers.size === 0) {
      this.isDragging = false;
      this.pressedAt = this.pointOf(event);
    }
    this.fingers.set(event.pointerId, this.pointOf(event));
  }

  private move(event: PointerEvent): void {
    const before = this.fingers.get(event.pointerId);
    if (!before) return;
    const now = this.pointOf(event);
    if (!this.isDragging && this.fingers.size < 2 && distance(now, this.pressedAt) < DRAG) return;
    // From here on the click at the end goes to the map, not to the node below.
    if (!this.svg.current?.hasPointerCapture(event.pointerId))
      this.svg.current?.setPointerCapture(event.pointerId);
    this.isDragging = true;
    const other = [...this.fingers].find(([id]) => id !== event.pointerId)?.[1];
    this.fingers.set(event.pointerId, now);
    if (other) this.zoomAt(other, distance(now, other) / Math.max(1, distance(before, other)));
    else this.put({ ...this.at, x: this.at.x + now.x - before.x, y: this.at.y + now.y - before.y });
  }

  private release(event: PointerEvent): void {
    this.fingers.delete(event.pointerId);
  }

  private zoomAt(point: Point, factor: number): void {
    const scale = clamp(this.at.scale * factor, SMALLEST, LARGEST);
    const real = scale / this.at.scale;
    this.put({ scale, x: point.x - (point.x - this.at.x) * real, y: point.y - (point.y - this.at.y) * real });
  }

  /** Moves there, smoothly unless the reader prefers reduced motion. */
  private go(to: Transform, isAtOnce = false): void {
    cancelAnimationFrame(this.frame);
    if (isAtOnce || matchMedia("(prefers-reduced-motion: reduce)").matches) {
      this.put(to);
      return;
    }
    const from = this.at;
    const start = performance.now();
    const step = (now: number) => {
      const part = clamp((now - start) / DURATION, 0, 1);
      const eased = 1 - (1 - part) ** 3;
      const mix = (a: number, b: number) => a + (b - a) * eased;
      this.apply({ scale: mix(from.scale, to.scale), x: mix(from.x, to.x), y: mix(from.y, to.y) });
      if (part < 1) this.frame = requestAnimationFrame(step);
    };
    this.frame = requestAnimationFrame(step);
  }

  private put(to: Transform): void {
    cancelAnimationFrame(this.frame);
    this.apply(to);
  }

  private apply(to: Transform): void {
    this.at = to;
    this.content.current?.setAttribute("transform", `translate(${to.x},${to.y}) scale(${to.scale})`);
  }

  private pointOf(event: MouseEvent): Point {
    const box = this.svg.current?.getBoundingClientRect();
    return { x: event.clientX - (box?.left ?? 0), y: event.clientY - (box?.top ?? 0) };
  }

  private size(): { width: number; height: number } {
    return { width: this.svg.current?.clientWidth ?? 0, height: this.svg.current?.clientHeight ?? 0 };
  }
}

function clamp(number: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, number));
}

function distance(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}

/** How far to move so that the span from `start` to `end` is within 0 and `room`; its start wins. */
function shift(start: number, end: number, room: number): number {
  if (end - start < room && (start > 1.5 * room || end < -0.5 * room)) return (room - start - end) / 2;
  if (start < MARGIN) return MARGIN - start;
  return end > room - MARGIN ? Math.max(MARGIN - start, room - MARGIN - end) : 0;
}
