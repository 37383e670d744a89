import type { View, ViewProps } from "./view";

export const why: View = {
  component: Why,
  hasData: (page, prompt) => prompt.projection != null || (page.explanations ?? []).length > 0,
};

function Why({ state }: ViewProps) {
  return <p>Why: layer {state.layer}, position {state.position}</p>;
}
