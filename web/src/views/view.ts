// The props and the description of a view.
import type { ComponentType } from "preact";
import type { PageIndex } from "../page_index";
import type { Page, PagePrompt } from "../record";
import type { Dispatch, State } from "../state";
import type { Say } from "../words/say";

/** In the order of the keys 1 to 9. */
const ALL_VIEWS = ["map", "why", "attention", "lens", "stream", "loss", "table", "failure", "mesh"] as const;
export type ViewName = (typeof ALL_VIEWS)[number];

/** The views of a page; only a model that is spread over devices has a mesh. */
export function viewNames(page: Page): readonly ViewName[] {
  return page.trace.mesh ? ALL_VIEWS : ALL_VIEWS.filter((name) => name !== "mesh");
}

export interface ViewProps {
  page: Page;
  /** Looked up once: nodes, calls, layers. */
  index: PageIndex;
  /** The chosen prompt of the batch; empty if the page has no data of it. */
  prompt: PagePrompt;
  state: State;
  /** Changes some of the state: `dispatch({ layer: 3 })`. Numbers out of range are brought into it. */
  dispatch: Dispatch;
  /** Says a text in the language of the state. */
  say: Say;
}

export interface View {
  component: ComponentType<ViewProps>;
  /** Tells whether the page has the data of the view; if not, its reason in `left_out` is shown. */
  hasData: (page: Page, prompt: PagePrompt) => boolean;
}
