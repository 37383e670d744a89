// The one state of the page. It is mirrored in the URL's hash, so that a link leads back to the same place.
import { useCallback, useEffect, useReducer } from "preact/hooks";
import type { PageIndex } from "./page_index";
import type { Node, Page } from "./record";
import { viewNames, type ViewName } from "./views/view";
import type { Language } from "./words/say";

export type Theme = "auto" | "light" | "dark";

export interface State {
  view: ViewName;
  language: Language;
  theme: Theme;
  /** Number of the prompt in the batch. */
  prompt: number;
  /** Number of the chosen token in the prompt. */
  position: number;
  /** Number of the chosen block among equal ones. */
  layer: number;
  /** Number of the chosen attention head; null for all of them. */
  head: number | null;
  /** Id of the chosen node of the graph. */
  node: number | null;
  /** Ids of the open boxes. */
  open: readonly number[];
  /** Number of the step of the lesson; null outside of teacher's mode. */
  lesson: number | null;
}

export type Change = Partial<State> | ((state: State) => Partial<State>);
export type Dispatch = (change: Change) => void;

/** The first state: the failure if there is one, otherwise the map. */
export function firstState(page: Page, index: PageIndex): State {
  const tokens = page.trace.inputs[0]?.tokens.length ?? 0;
  return {
    view: hasFailure(page) ? "failure" : page.graph.nodes.length > 0 ? "map" : "table",
    language: page.language === "zh" ? "zh" : "en",
    theme: "auto",
    prompt: 0,
    position: Math.max(0, tokens - 1),
    layer: 0,
    head: null,
    node: null,
    open: firstOpen(index),
    lesson: null,
  };
}

const FEW_MODULES = 10;

/**
 * The model itself, and the greatest box in it that is no block as long as few modules are shown: a wrapped
 * model.
 */
function firstOpen(index: PageIndex): number[] {
  const outside = index.children.get(null) ?? [];
  const open = outside.filter((node) => index.children.has(node.id)).map((node) => node.id);
  const modulesIn = (id: number | null) => (index.children.get(id) ?? []).filter((node) => node.kind === "module").length;
  for (;;) {
    const shown = modulesIn(null) + open.reduce((count, id) => count + modulesIn(id), 0);
    const inside = open.flatMap((id) => index.children.get(id) ?? []);
    const closed = inside.filter((node) => hasModules(index, node) && !open.includes(node.id));
    const sizeOf = (node: Node) => (node.call == null ? 0 : (index.calls[node.call]?.parameters.total ?? 0));
    const [greatest] = closed.sort((a, b) => sizeOf(b) - sizeOf(a));
    if (
      !greatest ||
      isBlocks(index, greatest) ||
      shown + modulesIn(greatest.id) > FEW_MODULES
    )
      return open;
    open.push(greatest.id);
  }
}

function hasModules(index: PageIndex, node: Node): boolean {
  return (index.children.get(node.id) ?? []).some((inner) => inner.kind === "module");
}

/** Equal blocks, or a list that holds only these: they stay closed at first. */
function isBlocks(index: PageIndex, node: Node): boolean {
  const inside = index.children.get(node.id) ?? [];
  return (node.layers?.length ?? 0) > 1 || (inside.length === 1 && (inside[0]?.layers?.length ?? 0) > 1);
}

/** A box that holds only one box opens together with it. */
export function onlyBoxes(index: PageIndex, id: number): number[] {
  const [only, ...others] = index.children.get(id) ?? [];
  return only && others.length === 0 && index.children.has(only.id)
    ? [only.id, ...onlyBoxes(index, only.id)]
    : [];
}

export function hasFailure(page: Page): boolean {
  return page.trace.error != null || (page.check?.checks ?? []).some((check) => check.holds === false);
}

/** Holds the state, reads it from the hash and writes it there. */
export function usePageState(page: Page, index: PageIndex): [State, Dispatch] {
  const reduce = (state: State, change: Change): State => {
    const parts = typeof change === "function" ? change(state) : change;
    return inRange({ ...state, ...parts }, page, index);
  };
  const first = firstState(page, index);
  const [state, dispatch] = useReducer(reduce, first, () =>
    inRange({ ...first, ...fromHash(location.hash, page) }, page, index),
  );
  useEffect(() => {
    const hash = toHash(state, first);
    if (hash !== location.hash.replace(/^#/, "")) replaceHash(hash);
  }, [state]);
  useEffect(() => {
    const follow = () => dispatch({ ...first, ...fromHash(location.hash, page) });
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return [state, useCallback(dispatch, [])];
}

function replaceHash(hash: string): void {
  try {
    history.replaceState(null, "", hash ? `#${hash}` : location.href.split("#")[0]);
  } catch {
    // A notebook's iframe without an address of its own allows no history.
  }
}

function inRange(state: State, page: Page, index: PageIndex): State {
  const prompt = clamp(state.prompt, page.trace.inputs.length);
  return {
    ...state,
    prompt,
    position: clamp(state.position, page.trace.inputs[prompt]?.tokens.length ?? 0),
    layer: clamp(state.layer, index.layerCount),
    lesson: state.lesson === null ? null : clamp(state.lesson, lessonSteps(page)),
    node: state.node !== null && index.nodes.has(state.node) ? state.node : null,
    open: [...new Set(state.open)].filter((id) => index.children.has(id)),
  };
}

function lessonSteps(page: Page): number {
  return (page.explanations?.[0]?.topics ?? []).reduce((count, topic) => count + topic.claims.length, 0);
}

function clamp(number: number, count: number): number {
  return Math.max(0, Math.min(number, count - 1));
}

const NUMBERS = ["prompt", "position", "layer", "head", "node", "lesson"] as const;

/** Writes the differences from the first state: "view=table&layer=3". */
export function toHash(state: State, first: State): string {
  const parts: string[] = [];
  const write = (name: string, value: string | number) => parts.push(`${name}=${value}`);
  if (state.view !== first.view) write("view", state.view);
  if (state.language !== first.language) write("language", state.language);
  if (state.theme !== first.theme) write("theme", state.theme);
  for (const name of NUMBERS) {
    const value = state[name];
    if (value !== null && value !== first[name]) write(name, value);
  }
  if (state.open.join() !== first.open.join()) write("open", state.open.join("."));
  return parts.join("&");
}

/** Reads a hash; unknown parts are ignored. */
export function fromHash(hash: string, page: Page): Partial<State> {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const read: Partial<State> = {};
  const view = viewNames(page).find((name) => name === given.get("view"));
  if (view) read.view = view;
  const language = given.get("language");
  if (language === "en" || language === "zh") read.language = language;
  const theme = given.get("theme");
  if (theme === "light" || theme === "dark") read.theme = theme;
  for (const name of NUMBERS) {
    const text = given.get(name);
    if (text !== null && /^\d{1,9}$/.test(text)) read[name] = Number(text);
  }
  const open = given.get("open");
  if (open !== null && /^[\d.]*$/.test(open)) read.open = open.split(".").filter(Boolean).map(Number);
  return read;
}
