
import type { View, ViewProps } from "./view";

export const map: View = {
  component: Map,
  hasData: () => true,
};

function Map({ state }: ViewProps) {
  return <p>Map: layer {state.layer}, position {state.position}</p>;
}
