// What a picture of a trace needs to be drawn without a browser: the layout of the map, its texts and its lines.
// gptrace/report/pictures/layout.py runs this in QuickJS, and writes the SVG.
import { MapPlanner, type Direction, type MapNode } from "./map/layout";
import { headOf, lineOf } from "./map/path";
import { CAPTION_SIZE, shortened, textWidth, TITLE_SIZE } from "./map/sizes";
import type { Graph, Node } from "./record";

interface Request {
  graph: Graph;
  /** Ids of the open boxes. */
  open: number[];
  /** What stands below the name of a node, by its id. */
  captions: Record<number, string>;
  direction: Direction;
}

interface Text {
  text: string;
  role: "title" | "times" | "caption";
  x: number;
  y: number;
  anchor: "start" | "middle";
}

/** The layout of a request, with a text for each name and a path for each line. */
export function drawingOf({ graph, open, captions, direction }: Request) {
  const map = new MapPlanner(graph, direction, (node) => captions[node.id] ?? "").layout(new Set(open));
  const nodes = new Map(graph.nodes.map((node) => [node.id, node]));
  return {
    width: map.width,
    height: map.height,
    nodes: map.nodes.map((place) => {
      const node = nodes.get(place.id) as Node;
      const texts = place.isOpen ? openTexts : closedTexts;
      return { ...place, texts: texts(node, captions[node.id] ?? "", place).map((text) => moved(text, place)) };
    }),
    edges: map.edges.map((edge) => ({
      ...edge, points: edge.points.slice(0, 1), line: lineOf(edge, direction), head: edge.isExit ? "" : headOf(edge, direction),
    })),
  };
}

function closedTexts(node: Node, caption: string, { width, height }: MapNode): Text[] {
  const label = shortened(node.label);
  const badge = badgeOf(node);
  const middle = width / 2 - (badge ? (textWidth(badge, TITLE_SIZE) + 12) / 2 : 0);
  const y = caption ? 18 : height / 2 + 4.5;
  const texts: Text[] = [{ text: label, role: "title", x: middle, y, anchor: "middle" }];
  if (badge) texts.push({ text: badge, role: "times", x: middle + textWidth(label, TITLE_SIZE) / 2 + 8, y, anchor: "start" });
  if (caption) texts.push({ text: shortened(caption), role: "caption", x: width / 2, y: 33, anchor: "middle" });
  return texts;
}

function openTexts(node: Node, caption: string, { width }: MapNode): Text[] {
  const found: Text[] = [];
  let x = 14;
  const parts = [[shortened(node.label), "title"], [badgeOf(node), "times"], [shortened(caption), "caption"]] as const;
  for (const [text, role] of parts) {
    const end = x + textWidth(text, role === "caption" ? CAPTION_SIZE : TITLE_SIZE);
    if (!text || (found.length > 0 && end > width - 10)) continue;
    found.push({ text, role, x, y: 22, anchor: "start" });
    x = end + 10;
  }
  return found;
}

function badgeOf(node: Node): string {
  const count = node.layers?.length ?? 0;
  return count > 1 ? `× ${count}` : "";
}

function moved(text: Text, { x, y }: MapNode): Text {
  return { ...text, x: text.x + x, y: text.y + y };
}

/** QuickJS has no structuredClone; dagre copies the labels of edges with it, which are plain values. */
function copied<T>(value: T): T {
  if (Array.isArray(value)) return value.map(copied) as T;
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, copied(each)])) as T;
}

const scope = globalThis as unknown as Record<string, unknown>;
scope.structuredClone ??= copied;
scope.gptraceDrawing = (request: string) => JSON.stringify(drawingOf(JSON.parse(request)));
