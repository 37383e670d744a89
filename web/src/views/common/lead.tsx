// The head of a view: one sentence that says what is seen, and a warning where it means nothing.
import type { ComponentChildren } from "preact";
import { VIEW_TITLES } from "../../words/shell";
import { COMMON } from "../../words/common";
import type { ViewProps } from "../view";

type LeadProps = Pick<ViewProps, "page" | "state" | "say"> & { children: ComponentChildren };

export function Lead({ page, state, say, children }: LeadProps) {
  return (
    <div class="lead">
      <h2>{say(VIEW_TITLES[state.view])}</h2>
      <p>{children}</p>
      {isRandom(page) && <p class="random-weights">⚠ {say(COMMON.random)}</p>}
    </div>
  );
}

export function isRandom(page: ViewProps["page"]): boolean {
  const weights = page.trace.model.weights as { source?: unknown } | null | undefined;
  return weights?.source === "random";
}
