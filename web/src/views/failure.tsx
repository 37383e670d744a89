import { hasFailure } from "../state";
import type { View, ViewProps } from "./view";

export const failure: View = {
  component: Failure,
  hasData: (page) => hasFailure(page),
};

function Failure({ state }: ViewProps) {
  return <p>Failure: layer {state.layer}, position {state.position}</p>;
}
