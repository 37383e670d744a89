// The model as nested boxes.
import { Canvas } from "../map/canvas";
import { Inspector } from "../map/inspector";
import type { View, ViewProps } from "./view";

export const map: View = {
  component: MapView,
  hasData: (page) => page.graph.nodes.length > 0,
};

const NONE: ReadonlySet<number> = new Set();

function MapView({ index, state, dispatch, say }: ViewProps) {
  return (
    <div class="map-view">
      <div class="map-side">
        <Canvas {...{ index, state, dispatch, say }} failed={NONE} bad={NONE} told={NONE} />
      </div>
      <Inspector {...{ index, state, dispatch, say }} />
    </div>
  );
}
