// A head as a picture: a square for each pair of tokens, darker for more weight, hatched where it is masked.
import { useLayoutEffect, useRef } from "preact/hooks";
import type { HeadMatrix } from "./matrix";

/** Readable on white and on black, so that no theme needs a picture of its own. */
const INK = [37, 99, 235] as const;
const HATCH = "rgb(128 128 128 / 0.45)";
const GREATEST_SIZE = 4096;

/** The opacity of a weight: its square root, so that small weights are seen as well. */
export function opacity(weight: number): number {
  return Math.sqrt(weight);
}

/** From this opacity on, black text on the ink has too little contrast. */
const NEEDS_WHITE = 0.93;

/** The attributes of an element that is tinted by a weight. */
export function tint(weight: number, className = ""): { class: string; style: Record<string, string> } {
  const alpha = opacity(weight);
  return { class: `${className}${alpha > NEEDS_WHITE ? " strong" : ""}`, style: { "--opacity": alpha.toFixed(3) } };
}

interface HeadPictureProps {
  matrix: HeadMatrix;
  /** Pixels on each side that it is drawn with; the style says how large it is shown. */
  pixels: number;
}

/** The text beside the picture describes it. */
export function HeadPicture({ matrix, pixels }: HeadPictureProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    if (canvas.current) paint(canvas.current, matrix, Math.min(GREATEST_SIZE, Math.round(pixels * Math.max(1, devicePixelRatio))));
  }, [matrix, pixels]);
  return <canvas class="head-picture" ref={canvas} aria-hidden="true" />;
}

function paint(canvas: HTMLCanvasElement, matrix: HeadMatrix, size: number): void {
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d");
  if (!context || matrix.size === 0) return;
  hatchMask(context, matrix, size);
  const weights = document.createElement("canvas");
  weights.width = weights.height = matrix.size;
  weights.getContext("2d")?.putImageData(imageOf(matrix), 0, 0);
  context.imageSmoothingEnabled = matrix.size > size;
  context.drawImage(weights, 0, 0, size, size);
}

function imageOf({ size, weight }: HeadMatrix): ImageData {
  const image = new ImageData(size, size);
  const data = new Uint32Array(image.data.buffer);
  const ink = (INK[2] << 16) | (INK[1] << 8) | INK[0];
  for (let query = 0; query < size; query++) {
    for (let key = 0; key < size; key++) data[query * size + key] = ink | (Math.round(255 * opacity(weight(query, key))) << 24);
  }
  return image;
}

function hatchMask(context: CanvasRenderingContext2D, { size: count, isMasked }: HeadMatrix, size: number): void {
  const cell = size / count;
  context.save();
  context.beginPath();
  for (let query = 0; query < count; query++) {
    for (let key = 0; key < count; ) {
      let end = key;
      while (end < count && isMasked(query, end)) end++;
      if (end > key) context.rect(key * cell, query * cell, (end - key) * cell, cell);
      key = end + 1;
    }
  }
  context.clip();
  context.beginPath();
  const step = 5 * Math.max(1, devicePixelRatio);
  for (let at = -size; at < size; at += step) {
    context.moveTo(at, size);
    context.lineTo(at + size, 0);
  }
  context.lineWidth = Math.max(1, devicePixelRatio);
  context.strokeStyle = HATCH;
  context.stroke();
  context.restore();
}
