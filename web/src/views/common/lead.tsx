// The lead of a view: a sentence that describes it, and a warning if its numbers mean nothing.
import type { ComponentChildren } from "preact";
import { VIEW_TITLES } from "../../words/shell";
import { reasonText } from "../../parts/reason";
import { COMMON } from "../../words/common";
import type { ViewProps } from "../view";

type LeadProps = Pick<ViewProps, "page" | "state" | "say"> & { children: ComponentChildren };

export function Lead({ page, state, say, children }: LeadProps) {
  return (
    <div class="lead">
      <h2>{say(VIEW_TITLES[state.view])}</h2>
      <p>{children}</p>
      {isRandom(page) && <p class="random-weights">⚠ {say(COMMON.random)}</p>}
      <LeftOutParts page={page} state={state} say={say} />
    </div>
  );
}

export function isRandom(page: ViewProps["page"]): boolean {
  const weights = page.trace.model.weights as { source?: unknown } | null | undefined;
  return weights?.source === "random";
}

/** The missing parts of a view that has data, such as some of the heads. */
function LeftOutParts({ page, state, say }: Omit<LeadProps, "children">) {
  const parts = (page.left_out ?? []).filter((part) => part.view === state.view);
  return parts.map((part, at) => (
    <p class="left-out-part" key={at}>
      {reasonText(part, say)}
    </p>
  ));
}
