import type { View, ViewProps } from "./view";

export const attention: View = {
  component: Attention,
  hasData: (_page, prompt) => (prompt.attention ?? []).length > 0,
};

function Attention({ state }: ViewProps) {
  return <p>Attention: layer {state.layer}, position {state.position}</p>;
}
