// The map as a PNG: a copy of its SVG with the colours written into it, painted at twice its size.
import type { MapLayout } from "./layout";

const COPIED = [
  "fill",
  "stroke",
  "stroke-width",
  "stroke-dasharray",
  "opacity",
  "font-family",
  "font-size",
  "font-weight",
  "font-style",
  "text-anchor",
];
const MARGIN = 12;
const LARGEST = 8000;

/** Offers the whole map, as it is open now, as a file. */
export async function savePicture(svg: SVGSVGElement, map: MapLayout): Promise<void> {
  const width = map.width + 2 * MARGIN;
  const height = map.height + 2 * MARGIN;
  const copy = svg.cloneNode(true) as SVGSVGElement;
  copyStyles(svg, copy);
  copy.querySelector("g")?.setAttribute("transform", `translate(${MARGIN},${MARGIN})`);
  copy.setAttribute("viewBox", `0 0 ${width} ${height}`);
  copy.setAttribute("width", String(width));
  copy.setAttribute("height", String(height));
  const scale = Math.min(2, LARGEST / Math.max(width, height));
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  if (!context) return;
  context.fillStyle = getComputedStyle(svg).backgroundColor;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  const link = document.createElement("a");
  link.download = "gptrace-map.png";
  link.href = canvas.toDataURL("image/png");
  link.click();
}

function copyStyles(from: Element, to: Element): void {
  const style = getComputedStyle(from);
  for (const name of COPIED) to.setAttribute(name, style.getPropertyValue(name));
  for (let at = 0; at < from.children.length; at++) {
    const [inner, copied] = [from.children[at], to.children[at]];
    if (inner && copied) copyStyles(inner, copied);
  }
}
