import type { View, ViewProps } from "./view";

export const lens: View = {
  component: Lens,
  hasData: (_page, prompt) => prompt.lens != null,
};

function Lens({ state }: ViewProps) {
  return <p>Lens: layer {state.layer}, position {state.position}</p>;
}
