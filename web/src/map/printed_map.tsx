// The map on paper: all of it, as it is open now, without anything to click.
import { useMemo } from "preact/hooks";
import type { PageIndex } from "../page_index";
import type { State } from "../state";
import type { Say } from "../words/say";
import { Labels, Lines } from "./edges";
import type { Failures } from "./failures";
import { MapPlanner } from "./layout";
import { captionOf, Frame, TreeNode } from "./nodes";
import { areaWithRemarks, Remark } from "./remark";

const NONE: ReadonlySet<number> = new Set();

export function PrintedMap({
  index,
  state,
  say,
  failures,
}: {
  index: PageIndex;
  state: State;
  say: Say;
  failures: Failures | null;
}) {
  const map = useMemo(
    () => new MapPlanner(index.graph, "down", (node) => captionOf(index, node)).layout(new Set(state.open)),
    [index, state.open.join()],
  );
  const failed = failures?.failed ?? NONE;
  const bad = failures?.bad ?? NONE;
  const width = areaWithRemarks(map, failures?.remarks).width;
  return (
    <svg
      class="map printed"
      viewBox={`0 0 ${width} ${map.height}`}
      width={width}
      height={map.height}
      role="img"
    >
      {map.nodes
        .filter((place) => place.isOpen)
        .map((place) => (
          <Frame key={place.id} place={place} isLit={false} hasFailed={failed.has(place.id)} />
        ))}
      <Lines map={map} edges={index.graph.edges} lit={NONE} bad={bad} />
      <Labels map={map} edges={index.graph.edges} lit={NONE} bad={bad} final={index.finalAxes} />
      {map.nodes.map((place) => {
        const node = index.nodes.get(place.id);
        const marks = {
          isChosen: false,
          isCurrent: false,
          hasFailed: failed.has(place.id),
          isUnreached: index.graph.unreached.has(place.id),
          isLit: false,
        };
        const nothing = () => undefined;
        return (
          node && (
            <TreeNode
              key={place.id}
              {...{ index, node, place, say }}
              layer={state.layer}
              state={marks}
              onChoose={nothing}
              onToggle={nothing}
            />
          )
        );
      })}
      {[...(failures?.remarks ?? [])].map(([id, lines]) => (
        <Remark key={id} map={map} place={map.nodes.find((place) => place.id === id)} lines={lines} />
      ))}
    </svg>
  );
}
