
import type { View, ViewProps } from "./view";

export const table: View = {
  component: Table,
  hasData: () => true,
};

function Table({ state }: ViewProps) {
  return <p>Table: layer {state.layer}, position {state.position}</p>;
}
