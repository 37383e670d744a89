// Finds modules and operations by name, path or type, and shows them on the map.
import { useMemo, useState } from "preact/hooks";
import { ancestors, callOf, pathOf, type PageIndex } from "../page_index";
import { Dialog } from "../parts/dialog";
import type { Node } from "../record";
import type { Dispatch } from "../state";
import { visible } from "../visible";
import { HELP, SEARCH } from "../words/help";
import { MAP } from "../words/map";
import type { Say } from "../words/say";

interface SearchProps {
  index: PageIndex;
  layer: number;
  dispatch: Dispatch;
  say: Say;
  onClose: () => void;
}

interface Hit {
  node: Node;
  path: string;
  type: string;
}

const MOST = 40;

export function Search({ index, layer, dispatch, say, onClose }: SearchProps) {
  const [query, setQuery] = useState("");
  const [at, setAt] = useState(0);
  const all = useMemo(() => hitsOf(index, layer), [index, layer]);
  const hits = useMemo(() => matching(all, query), [all, query]);
  const current = Math.min(at, Math.max(0, hits.length - 1));
  const choose = (hit: Hit | undefined) => {
    if (!hit) return;
    const around = ancestors(index, hit.node).map((box) => box.id);
    dispatch(({ open }) => ({ view: "map", node: hit.node.id, open: [...open, ...around] }));
    onClose();
    requestAnimationFrame(() =>
      document.getElementById(`node-${hit.node.id}`)?.focus({ preventScroll: true }),
    );
  };
  const press = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") setAt(Math.min(current + 1, hits.length - 1));
    else if (event.key === "ArrowUp") setAt(Math.max(0, current - 1));
    else if (event.key === "Enter") choose(hits[current]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog label={say(SEARCH.title)} closeLabel={say(HELP.close)} onClose={onClose}>
      <input
        class="filter"
        type="text"
        role="combobox"
        aria-expanded="true"
        aria-controls="search-results"
        aria-activedescendant={`hit-${current}`}
        aria-label={say(SEARCH.title)}
        placeholder={say(SEARCH.hint)}
        value={query}
        data-first
        onInput={(event) => {
          setQuery(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={press}
      />
      {hits.length === 0 && <p class="quiet">{say(SEARCH.none)}</p>}
      <ul id="search-results" role="listbox" aria-label={say(SEARCH.results)} class="hits">
        {hits.map((hit, number) => (
          <li
            key={hit.node.id}
            id={`hit-${number}`}
            role="option"
            aria-selected={number === current}
            ref={(element) => {
              if (number === current) element?.scrollIntoView({ block: "nearest" });
            }}
            onClick={() => choose(hit)}
          >
            <code>{visible(hit.path)}</code> <span class="quiet">{visible(hit.type)}</span>
          </li>
        ))}
      </ul>
    </Dialog>
  );

  function hitsOf(index: PageIndex, layer: number): Hit[] {
    return index.graph.nodes.map((node) => {
      const path = pathOf(index, node, layer) || node.label;
      const isModule = node.kind === "module";
      const type = isModule ? (callOf(index, node, layer)?.type ?? say(MAP.unreached)) : say(MAP[node.kind]);
      return { node, path: isModule || node.op == null ? path : `${path} · ${node.label}`, type };
    });
  }
}

/** The nodes whose path or type has every word; names that begin with the query come first. */
function matching(all: readonly Hit[], query: string): Hit[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = all.filter(({ path, type }) =>
    words.every((word) => `${path} ${type}`.toLowerCase().includes(word)),
  );
  const first = words[0] ?? "";
  const starts = ({ node }: Hit) => Number(!node.label.toLowerCase().startsWith(first));
  return [...found].sort((a, b) => starts(a) - starts(b)).slice(0, MOST);
}
