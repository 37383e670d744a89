import type { View, ViewProps } from "./view";

export const stream: View = {
  component: Stream,
  hasData: (_page, prompt) => (prompt.stream ?? []).length > 0,
};

function Stream({ state }: ViewProps) {
  return <p>Stream: layer {state.layer}, position {state.position}</p>;
}
