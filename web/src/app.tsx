// The frame: header, the chosen view, and the keys that work everywhere.
import { useEffect, useState } from "preact/hooks";
import { useKeys, type Keys } from "./keyboard";
import type { PageIndex } from "./page_index";
import type { Page } from "./record";
import { Header } from "./shell/header";
import { Help } from "./shell/help";
import { Printed } from "./shell/printed";
import { Search } from "./shell/search";
import { usePageState } from "./state";
import { followTheme } from "./theme";
import { VIEWS } from "./views/views";
import { viewNames, type ViewName, type ViewProps } from "./views/view";
import { reasonText } from "./parts/reason";
import { FAILURE } from "./words/failure";
import { speaker } from "./words/say";
import { SHELL, VIEW_TITLES } from "./words/shell";

export function App({ page, index, isPrinting }: { page: Page; index: PageIndex; isPrinting: boolean }) {
  const [state, dispatch] = usePageState(page, index);
  useEffect(() => followTheme(state.theme), [state.theme]);
  useEffect(() => {
    document.documentElement.lang = state.language === "zh" ? "zh-CN" : "en";
  }, [state.language]);
  const keys: Keys = {
    "[": () => dispatch(({ layer }) => ({ layer: layer - 1 })),
    "]": () => dispatch(({ layer }) => ({ layer: layer + 1 })),
    ",": () => dispatch(({ position }) => ({ position: position - 1 })),
    ".": () => dispatch(({ position }) => ({ position: position + 1 })),
  };
  const [dialog, setDialog] = useState<"help" | "search" | null>(null);
  const teach = (by: number) =>
    dispatch(({ lesson, view }) =>
      view === "map" || lesson !== null
        ? { view: "map", lesson: lesson === null ? 0 : lesson + by }
        : { view: "map", lesson: 0 },
    );
  Object.assign(keys, {
    " ": () => teach(1),
    "Shift ": () => teach(-1),
    "?": () => setDialog("help"),
    "/": () => setDialog("search"),
    Escape: () => dispatch({ lesson: null, node: null }),
  });
  viewNames(page).forEach((view, at) => (keys[at + 1] = () => dispatch({ view })));
  useKeys(keys);
  const prompt = page.prompts[state.prompt] ?? {};
  const props: ViewProps = { page, index, prompt, state, dispatch, say: speaker(state.language) };
  return (
    <div
      class={`app app-${state.view === "map" || state.view === "failure" ? "map" : "page"}${state.lesson === null ? "" : " app-lesson"}`}
    >
      <Header
        {...props}
        onHelp={() => setDialog("help")}
        onSearch={() => setDialog("search")}
        onTeach={() => dispatch({ view: "map", lesson: 0 })}
      />
      <main>
        {isPrinting && <Printed {...props} />}
        <div
          id="view"
          role="tabpanel"
          aria-labelledby={`tab-${state.view}`}
          class={`view view-${state.view}`}
          tabIndex={-1}
        >
          <Current {...props} />
        </div>
      </main>
      {dialog === "help" && <Help views={viewNames(page).length} say={props.say} onClose={() => setDialog(null)} />}
      {dialog === "search" && (
        <Search
          {...{ index, dispatch }}
          layer={state.layer}
          say={props.say}
          onClose={() => setDialog(null)}
        />
      )}
    </div>
  );
}

/** Views that list their missing parts below their heading. */
const HAVE_NOTES: readonly ViewName[] = ["why", "attention", "lens", "stream", "loss"];

function Current(props: ViewProps) {
  const { page, prompt, state, say } = props;
  const { component: Component, hasData } = VIEWS[state.view];
  const reasons = (page.left_out ?? []).filter((part) => part.view === state.view);
  if (hasData(page, prompt)) {
    return (
      <>
        {!HAVE_NOTES.includes(state.view) &&
          reasons.map((part, at) => (
            <p key={at} class="note">
              {reasonText(part, say)}
            </p>
          ))}
        <Component {...props} />
      </>
    );
  }
  return (
    <section class="left-out">
      <h2>{say(VIEW_TITLES[state.view])}</h2>
      {reasons.length === 0 && <p>{say(state.view === "failure" ? FAILURE.nothing : SHELL.leftOut)}</p>}
      {reasons.map((part, at) => (
        <p key={at}>{reasonText(part, say)}</p>
      ))}
    </section>
  );
}
