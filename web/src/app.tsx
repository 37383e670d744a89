// The frame: header, the chosen view, and the keys that work everywhere.
import { useEffect } from "preact/hooks";
import { useKeys, type Keys } from "./keyboard";
import type { PageIndex } from "./page_index";
import type { Page } from "./record";
import { Header } from "./shell/header";
import { usePageState } from "./state";
import { followTheme } from "./theme";
import { VIEWS } from "./views/views";
import { VIEW_NAMES, type ViewProps } from "./views/view";
import { visible } from "./visible";
import { speaker } from "./words/say";
import { SHELL, VIEW_TITLES } from "./words/shell";

export function App({ page, index }: { page: Page; index: PageIndex }) {
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
  VIEW_NAMES.forEach((view, at) => (keys[at + 1] = () => dispatch({ view })));
  useKeys(keys);
  const prompt = page.prompts[state.prompt] ?? {};
  const props: ViewProps = { page, index, prompt, state, dispatch, say: speaker(state.language) };
  return (
    <div class={`app app-${state.view === "map" || state.view === "failure" ? "map" : "page"}`}>
      <Header {...props} />
      <main>
        <div id="view" role="tabpanel" aria-labelledby={`tab-${state.view}`} class={`view view-${state.view}`} tabIndex={-1}>
          <Current {...props} />
        </div>
      </main>
    </div>
  );
}

function Current(props: ViewProps) {
  const { page, prompt, state, say } = props;
  const { component: Component, hasData } = VIEWS[state.view];
  if (hasData(page, prompt)) return <Component {...props} />;
  const reasons = (page.left_out ?? []).filter((part) => part.view === state.view);
  return (
    <section class="left-out">
      <h2>{say(VIEW_TITLES[state.view])}</h2>
      {reasons.length === 0 && <p>{say(SHELL.leftOut)}</p>}
      {reasons.map((part, at) => (
        <p key={at}>{visible(say([part.reason, part.reason_zh]))}</p>
      ))}
    </section>
  );
}
