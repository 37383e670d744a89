// Which model, which text, which shapes; and what holds for every view.
import type { ComponentChildren } from "preact";
import type { Theme } from "../state";
import type { ViewProps } from "../views/view";
import { visible } from "../visible";
import { SHELL } from "../words/shell";
import { Ribbon } from "./ribbon";
import { Tabs } from "./tabs";
import { Tokens } from "./tokens";

const NEXT_THEME: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };

export function Header(props: ViewProps) {
  const { page, state, dispatch, say } = props;
  const { model } = page.trace;
  const isRandom = (model.weights as { source?: string } | null | undefined)?.source === "random";
  const theme = { auto: SHELL.themeAuto, light: SHELL.themeLight, dark: SHELL.themeDark }[state.theme];
  return (
    <header>
      <div class="title">
        <h1>{visible(model.name || model.class)}</h1>
        <p class="model-facts">
          {model.class !== model.name && <span>{visible(model.class)}</span>}
          <span>{say(SHELL.parameters, { count: model.parameters.unique.toLocaleString("en") })}</span>
          {isRandom && <span class="warning">{say(SHELL.randomWeights)}</span>}
        </p>
        <div class="tools">
          <Tool label={say(SHELL.language)} onClick={() => dispatch({ language: state.language === "en" ? "zh" : "en" })}>
            {say(SHELL.language)}
          </Tool>
          <Tool label={say(theme)} onClick={() => dispatch({ theme: NEXT_THEME[state.theme] })}>
            {{ auto: "◐", light: "☀", dark: "☾" }[state.theme]}
          </Tool>
        </div>
      </div>
      <div class="text-and-shapes">
        <Tokens {...props} />
        <Ribbon {...props} />
      </div>
      <Tabs {...props} />
    </header>
  );
}

function Tool({ label, onClick, children }: { label: string; onClick: () => void; children: ComponentChildren }) {
  return (
    <button type="button" class="tool" aria-label={label} title={label} onClick={onClick}>
      {children}
    </button>
  );
}
