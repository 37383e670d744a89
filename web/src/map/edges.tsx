// Tensors as lines with arrowheads, and labels with the names and sizes of the axes.
import { axisClass } from "../axes";
import type { Edge } from "../record";
import type { MapEdge, MapLayout } from "./layout";
import { LABEL_SIZE, textWidth } from "./sizes";
import { loopPath, pathOf } from "./path";

interface EdgesProps {
  map: MapLayout;
  edges: readonly Edge[];
  /** Tensors of the chosen node. */
  lit: ReadonlySet<number>;
  /** Edges that lead into a node that failed. */
  bad: ReadonlySet<number>;
  /** Names of axes that only the output has: they are highlighted. */
  final: ReadonlySet<string>;
}

export function Lines({ map, edges, lit, bad }: Omit<EdgesProps, "final">) {
  return (
    <g class="edges" aria-hidden="true">
      {map.edges.map((edge) => {
        const state = `${lit.has(edges[edge.edge]?.tensor ?? -1) ? " lit" : ""}${bad.has(edge.edge) ? " bad" : ""}`;
        const first = edge.points[0];
        return (
          <g
            key={edge.edge}
            class={`edge${edge.isResidual ? " skip" : ""}${edge.isLoop ? " loop" : ""}${state}`}
            data-edge={edge.edge}
          >
            <path d={lineOf(edge, map)} />
            {!edge.isExit && <path class="head" d={headOf(edge, map)} />}
            {edge.isEntry && first && <circle cx={first.x} cy={first.y} r="3" />}
          </g>
        );
      })}
    </g>
  );
}

export function Labels({ map, edges, lit, bad, final }: EdgesProps) {
  const isFinal = (edge: number, at: number) => final.has(edges[edge]?.dims[at] ?? "");
  return (
    <g class="labels" aria-hidden="true">
      {map.edges.map(({ edge, label, depth }) =>
        label ? (
          <g
            key={edge}
            class={`label${lit.has(edges[edge]?.tensor ?? -1) ? " lit" : ""}${bad.has(edge) ? " bad" : ""}`}
            transform={`translate(${label.x},${label.y})`}
          >
            <rect
              class={depth % 2 === 0 ? "on-even" : "on-odd"}
              width={label.width}
              height={label.height}
              rx="3"
            />
            {label.columns.map(({ name, size, x }, at) => (
              <g key={at} class={isFinal(edge, at) ? "final" : undefined}>
                {isFinal(edge, at) && (
                  <rect
                    x={x - textWidth(name, LABEL_SIZE) / 2 - 3}
                    width={textWidth(name, LABEL_SIZE) + 6}
                    height="15"
                    rx="4"
                    class={axisClass(edges[edge]?.dims[at] ?? "")}
                  />
                )}
                {name && (
                  <text class={axisClass(edges[edge]?.dims[at] ?? "")} x={x} y="11">
                    {name}
                  </text>
                )}
                <text class="size" x={x} y={name || label.height > 20 ? 25 : 12}>
                  {size}
                </text>
              </g>
            ))}
          </g>
        ) : null,
      )}
    </g>
  );
}

function lineOf(edge: MapEdge, map: MapLayout): string {
  return edge.isLoop ? loopPath(edge.points) : pathOf(edge.points, map.direction);
}

function headOf(edge: MapEdge, map: MapLayout): string {
  const { x, y } = edge.points.at(-1) ?? { x: 0, y: 0 };
  if (edge.isLoop) return map.direction === "down" ? `M${x},${y}l7,-4v8z` : `M${x},${y}l-4,7h8z`;
  const before = edge.points.at(-2) ?? { x, y };
  if (edge.heading === "down") return before.y > y ? `M${x},${y}l-4,7h8z` : `M${x},${y}l-4,-7h8z`;
  return before.x > x ? `M${x},${y}l7,-4v8z` : `M${x},${y}l-7,-4v8z`;
}
