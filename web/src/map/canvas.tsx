// The picture of the graph: nested boxes, tensors between them, and the keys that walk through them.
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { useKeys } from "../keyboard";
import { ancestors, type PageIndex } from "../page_index";
import { onlyBoxes, type Dispatch, type State } from "../state";
import { MAP } from "../words/map";
import type { Say } from "../words/say";
import { LayerChoice } from "../parts/layer_choice";
import { Labels, Lines } from "./edges";
import { MapPlanner, type MapLayout, type MapNode } from "./layout";
import { captionOf, Frame, TreeNode } from "./nodes";
import { areaWithRemarks, Remark, remarkPlace } from "./remark";
import { Tools } from "./tools";
import { useZoom, type Area, type View } from "./zoom";

export interface CanvasProps {
  index: PageIndex;
  state: State;
  dispatch: Dispatch;
  say: Say;
  /** Nodes in which the forward pass failed, or that a check blames. */
  failed: ReadonlySet<number>;
  /** Edges that lead into a node that failed. */
  bad: ReadonlySet<number>;
  /** Nodes that the step of the lesson is about. */
  told: ReadonlySet<number>;
  /** Lines that are written beside a node. */
  remarks?: ReadonlyMap<number, readonly string[]>;
}

const NONE: ReadonlySet<number> = new Set();
const LEGIBLE = 0.75; // the smallest scale that the page chooses itself
const CONTEXT = 130; // what is seen around the nodes that the lesson speaks of

export function Canvas({ index, state, dispatch, say, failed, bad, told, remarks }: CanvasProps) {
  const svg = useRef<SVGSVGElement>(null);
  const content = useRef<SVGGElement>(null);
  const view = useZoom(svg, content);
  const planner = useMemo(
    () => new MapPlanner(index.graph, "down", (node) => captionOf(index, node)),
    [index],
  );
  const map = useMemo(() => planner.layout(new Set(state.open)), [planner, state.open.join()]);
  const places = useMemo(() => new Map(map.nodes.map((place) => [place.id, place])), [map]);
  const whole = areaWithRemarks(map, remarks);
  const fit = () => view.show(whole, { largest: 1.6 * zoomOfText() });
  useKeys({ f: fit, "+": () => view.by(1.25), "-": () => view.by(0.8) });
  useFollow({ map, whole, places, view, state, svg, told, remarks });

  const toggle = (id: number) =>
    dispatch(({ open }) => {
      if (open.includes(id)) return { open: open.filter((one) => one !== id), node: id };
      const opened = [id, ...onlyBoxes(index, id)];
      return { open: [...open, ...opened], node: opened.at(-1) ?? id };
    });
  const current = state.node !== null && places.has(state.node) ? state.node : (map.nodes[0]?.id ?? null);
  const lit = useMemo(() => tensorsOf(index, state.node), [index, state.node]);
  const press = (event: KeyboardEvent) => walk({ event, map, current, index, state, dispatch, toggle });
  useArrowsFromAnywhere(press, current);
  return (
    <>
      <div class="map-bar">
        <LayerChoice {...{ count: index.layerCount, state, dispatch, say }} />
        <Tools {...{ say, fit, svg, map }} by={view.by} />
      </div>
      <div class="canvas">
        <svg ref={svg} class="map" onKeyDown={press} aria-label={say(MAP.tree)} role="group">
          <g ref={content}>
            <g aria-hidden="true">
              {map.nodes
                .filter((place) => place.isOpen)
                .map((place) => (
                  <Frame
                    key={place.id}
                    place={place}
                    isLit={told.has(place.id)}
                    hasFailed={failed.has(place.id)}
                  />
                ))}
            </g>
            <Lines map={map} edges={index.graph.edges} lit={lit} bad={bad} />
            <Labels map={map} edges={index.graph.edges} lit={lit} bad={bad} final={index.finalAxes} />
            <g role="tree" aria-label={say(MAP.tree)}>
              {map.nodes.map((place) => {
                const node = index.nodes.get(place.id);
                if (!node) return null;
                return (
                  <TreeNode
                    key={place.id}
                    {...{ index, node, place, say, layer: state.layer }}
                    state={{
                      isChosen: state.node === place.id,
                      isCurrent: current === place.id,
                      hasFailed: failed.has(place.id),
                      isUnreached: index.graph.unreached.has(place.id),
                      isLit: told.has(place.id),
                    }}
                    onChoose={() => dispatch({ node: place.id })}
                    onToggle={() => toggle(place.id)}
                  />
                );
              })}
            </g>
            {[...(remarks ?? [])].map(([id, lines]) => (
              <Remark key={id} map={map} place={places.get(id)} lines={lines} />
            ))}
          </g>
        </svg>
      </div>
    </>
  );
}

/** The tensors that enter and leave the chosen node. */
function tensorsOf(index: PageIndex, node: number | null): ReadonlySet<number> {
  if (node === null) return NONE;
  const near = index.graph.edges.filter((edge) => edge.source === node || edge.target === node);
  return new Set(near.map((edge) => edge.tensor));
}

interface Following {
  map: MapLayout;
  whole: Area;
  places: ReadonlyMap<number, MapNode>;
  view: View;
  state: State;
  svg: { current: SVGSVGElement | null };
  told: ReadonlySet<number>;
  remarks: ReadonlyMap<number, readonly string[]> | undefined;
}

/**
 * Keeps what is chosen in sight, and the focus on it; shows the whole map at first, and a box that is
 * opened.
 */
function useFollow({ map, whole, places, view, state, svg, told, remarks }: Following): void {
  const before = useRef<readonly number[] | null>(null);
  useLayoutEffect(() => {
    const opened = before.current === null ? [] : state.open.filter((id) => !before.current?.includes(id));
    const isFirst = before.current === null;
    before.current = state.open;
    const box = places.get(opened.at(-1) ?? -1);
    if (told.size > 0) return; // the lesson shows what it speaks of
    const smallest = LEGIBLE * zoomOfText();
    const core = map.nodes.find((place) => place.isOpen);
    if (isFirst) view.show(whole, { smallest, largest: 1.3 * zoomOfText(), core }, true);
    else if (box) view.showAtScale(box, { smallest, largest: 1.3 * zoomOfText() });
  }, [map]);
  useEffect(() => {
    const place = state.node === null ? undefined : places.get(state.node);
    if (!place) return;
    const lines = remarks?.get(place.id) ?? [];
    const remark = lines.length > 0 ? remarkPlace(map, place, lines) : null;
    if (!place.isOpen) view.reveal(remark ? { ...remark, x: place.x, width: remark.x + remark.width - place.x } : place);
    if (svg.current?.contains(document.activeElement)) focusOn(place.id);
  }, [state.node]);
  useEffect(() => {
    const areas = [...told].map((id) => places.get(id)).filter((place) => place !== undefined);
    if (areas.length === 0) return;
    const [x, y] = [Math.min(...areas.map((one) => one.x)), Math.min(...areas.map((one) => one.y))];
    const right = Math.max(...areas.map((one) => one.x + one.width));
    const bottom = Math.max(...areas.map((one) => one.y + one.height));
    const around = {
      x: x - CONTEXT,
      y: y - CONTEXT,
      width: right - x + 2 * CONTEXT,
      height: bottom - y + 2 * CONTEXT,
    };
    view.show(around, { smallest: LEGIBLE * zoomOfText(), largest: 1.1 * zoomOfText() });
  }, [told, map]);
}

/** The scale of the page's text, which is larger on large screens. */
function zoomOfText(): number {
  return Number.parseFloat(getComputedStyle(document.documentElement).fontSize) / 16 || 1;
}

function focusOn(id: number): void {
  document.getElementById(`node-${id}`)?.focus({ preventScroll: true });
}

/** Arrows walk over the map as long as nothing else has the focus. */
function useArrowsFromAnywhere(press: (event: KeyboardEvent) => void, current: number | null): void {
  const latest = useRef(press);
  latest.current = press;
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.defaultPrevented || document.activeElement !== document.body || current === null) return;
      latest.current(event);
      if (event.defaultPrevented) focusOn(current);
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, [current]);
}

interface Walk {
  event: KeyboardEvent;
  map: MapLayout;
  current: number | null;
  index: PageIndex;
  state: State;
  dispatch: Dispatch;
  toggle: (id: number) => void;
}

/** Arrows: down and up in order of execution, right opens and goes in, left closes and goes out. */
function walk({ event, map, current, index, state, dispatch, toggle }: Walk): void {
  const at = map.nodes.findIndex((place) => place.id === current);
  const place = map.nodes[at];
  const node = current === null ? undefined : index.nodes.get(current);
  if (!place || !node || event.ctrlKey || event.metaKey || event.altKey) return;
  const choose = (one: MapNode | undefined) => one && dispatch({ node: one.id });
  const inner = place.isOpen ? map.nodes[at + 1] : undefined;
  const outer = ancestors(index, node).at(-1);
  const keys: Record<string, () => void> = {
    ArrowDown: () => choose(map.nodes[at + 1]),
    ArrowUp: () => choose(map.nodes[at - 1]),
    Home: () => choose(map.nodes[0]),
    End: () => choose(map.nodes.at(-1)),
    ArrowRight: () => (place.canOpen && !place.isOpen ? toggle(place.id) : choose(inner)),
    ArrowLeft: () => (place.isOpen ? toggle(place.id) : outer && dispatch({ node: outer.id })),
    Enter: () => (place.canOpen ? toggle(place.id) : dispatch({ node: place.id })),
  };
  const run = keys[event.key];
  if (!run || (state.node === null && event.key === "ArrowUp")) return;
  event.preventDefault();
  event.stopPropagation();
  run();
}
