// Boxes and pills. An open box is a frame with its name on top; each node is an item of one tree.
import type { PageIndex } from "../page_index";
import { callOf } from "../page_index";
import type { Node } from "../record";
import { MAP } from "../words/map";
import type { Say } from "../words/say";
import { HEADER, STACK, type MapNode } from "./layout";
import { CAPTION_SIZE, shortened, textWidth, TITLE_SIZE } from "./sizes";

export interface NodeState {
  isChosen: boolean;
  /** The node that Tab leads to. */
  isCurrent: boolean;
  hasFailed: boolean;
  isUnreached: boolean;
  /** The current step of the lesson is about it. */
  isLit: boolean;
}

/** The text beside the name of a module: its class, and the mesh dimensions along which it sends. */
export function captionOf(index: PageIndex, node: Node): string {
  const call = node.kind === "module" ? callOf(index, node, 0) : undefined;
  const along = new Set((call?.here?.traffic ?? []).map((message) => message.mesh_dim || "?"));
  const type = call?.type === node.label ? "" : (call?.type ?? "");
  return [type, along.size > 0 ? `⇄ ${[...along].join(", ")}` : ""].filter(Boolean).join(" ");
}

export function Frame({ place, isLit, hasFailed }: { place: MapNode; isLit: boolean; hasFailed: boolean }) {
  return (
    <rect
      class={`frame ${place.depth % 2 === 0 ? "even" : "odd"}${isLit ? " told" : ""}${hasFailed ? " failed" : ""}`}
      x={place.x}
      y={place.y}
      width={place.width}
      height={place.height}
      rx="10"
    />
  );
}

interface NodeProps {
  index: PageIndex;
  node: Node;
  place: MapNode;
  layer: number;
  state: NodeState;
  say: Say;
  onChoose: () => void;
  onToggle: () => void;
}

export function TreeNode({ index, node, place, layer, state, say, onChoose, onToggle }: NodeProps) {
  const caption = captionOf(index, node);
  const { count } = place.title;
  const kind = state.isUnreached ? "unreached" : node.kind;
  const classes = [
    "node",
    kind,
    place.isOpen && "open",
    place.canOpen && "can-open",
    state.isChosen && "chosen",
    state.hasFailed && "failed",
    state.isLit && "told",
  ];
  const height = place.isOpen ? HEADER : place.height;
  const press = () => {
    onChoose();
    if (place.canOpen && !place.isOpen) onToggle();
  };
  return (
    <g
      id={`node-${node.id}`}
      class={classes.filter(Boolean).join(" ")}
      role="treeitem"
      tabindex={state.isCurrent ? 0 : -1}
      aria-level={place.depth + 1}
      aria-expanded={place.canOpen ? place.isOpen : undefined}
      aria-selected={state.isChosen}
      aria-label={nameOf(node, shownTexts(node, caption, place, layer), count, state, say)}
      transform={`translate(${place.x},${place.y})`}
      onClick={press}
    >
      {count > 1 &&
        !place.isOpen &&
        [STACK, STACK / 2].map((shift) => (
          <rect
            key={shift}
            class="shape-behind"
            x={shift}
            y={-shift}
            width={place.width}
            height={height}
            rx="8"
          />
        ))}
      <rect
        class="shape-of-node"
        width={place.width}
        height={height}
        rx={node.kind === "module" ? 8 : height / 2}
      />
      {place.isOpen ? (
        <OpenTitle node={node} caption={caption} place={place} layer={layer} />
      ) : (
        <ClosedTitle node={node} place={place} />
      )}
      {place.canOpen && place.isOpen && (
        <g
          class="toggle"
          transform={`translate(${place.width - 19},17)`}
          onClick={(event) => {
            event.stopPropagation();
            onToggle();
          }}
        >
          <circle r="9" />
          <path d="M-4,0h8" />
        </g>
      )}
    </g>
  );
}

function ClosedTitle({ node, place }: { node: Node; place: MapNode }) {
  const { title } = place;
  const slack = (place.width - title.width) / 2;
  const y = place.height / 2 + 4.5;
  if (node.kind !== "module")
    return (
      <text class="title" x={place.width / 2} y={y}>
        {title.label}
      </text>
    );
  return (
    <>
      <text class="title start" x={slack + 13} y={y}>
        {title.label}
      </text>
      {title.times && (
        <>
          {" "}
          <text class="times" x={slack + title.timesAt} y={y}>
            {title.times}
          </text>
        </>
      )}
      {title.caption && (
        <>
          {" "}
          <text class="caption start" x={slack + title.captionAt} y={y - 0.5}>
            {title.caption}
          </text>
        </>
      )}
      {place.canOpen && <path class="plus" d={`M${place.width - 18},${place.height / 2}h8m-4,-4v8`} />}
    </>
  );
}

/** The name of an open box; of equal blocks, the number of the one that is shown. */
function OpenTitle({
  node,
  caption,
  place,
  layer,
}: {
  node: Node;
  caption: string;
  place: MapNode;
  layer: number;
}) {
  const [label = "", behind = "", below = ""] = openTexts(node, caption, place, layer);
  const end = 13 + textWidth(label, TITLE_SIZE) + 8;
  const rest = end + (behind ? textWidth(behind, TITLE_SIZE) + 8 : 0);
  return (
    <>
      <text class="title start" x="13" y="22">
        {label}
      </text>
      {behind && (
        <>
          {" "}
          <text class="times" x={end} y="22">
            {behind}
          </text>
        </>
      )}
      {below && (
        <>
          {" "}
          <text class="caption start" x={rest} y="22">
            {below}
          </text>
        </>
      )}
    </>
  );
}

function openTexts(node: Node, caption: string, place: MapNode, layer: number): string[] {
  const layers = node.layers?.length ?? 0;
  const label = layers > 1 ? `${Math.min(layer, layers - 1)}` : place.title.label;
  const behind = layers > 1 ? `/ ${place.title.label}` : "";
  const below = shortened(caption, 28);
  const width = textWidth(`${label}${behind}`, TITLE_SIZE) + textWidth(below, CAPTION_SIZE) + 30;
  return [label, behind, width < place.width - 36 ? below : ""];
}

/** The texts of a node as they stand in it: its name for screen readers begins with them. */
function shownTexts(node: Node, caption: string, place: MapNode, layer: number): string {
  const { label, times, caption: below } = place.title;
  const texts = place.isOpen ? openTexts(node, caption, place, layer) : [label, times, below];
  return texts.filter(Boolean).join(" ");
}

function nameOf(node: Node, shown: string, count: number, state: NodeState, say: Say): string {
  const kind = say(state.isUnreached ? MAP.unreached : MAP[node.kind]);
  const name = say(MAP.nodeName, { shown, kind, count: count > 1 ? say(MAP.times, { count }) : "" });
  return state.hasFailed ? `${name}, ${say(MAP.failed)}` : name;
}
