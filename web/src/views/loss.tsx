import type { View, ViewProps } from "./view";

export const loss: View = {
  component: Loss,
  hasData: (_page, prompt) => prompt.loss != null,
};

function Loss({ state }: ViewProps) {
  return <p>Loss: layer {state.layer}, position {state.position}</p>;
}
