// The model, the text, the shapes, and the tools for all views.
import type { ComponentChildren } from "preact";
import type { Theme } from "../state";
import type { ViewProps } from "../views/view";
import { visible } from "../visible";
import { SHELL } from "../words/shell";
import { Ribbon } from "./ribbon";
import { Tabs } from "./tabs";
import { Tokens } from "./tokens";

const NEXT_THEME: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };

interface HeaderProps extends ViewProps {
  onHelp: () => void;
  onSearch: () => void;
  onTeach: () => void;
}

export function Header({ onHelp, onSearch, onTeach, ...props }: HeaderProps) {
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
          {(page.explanations ?? []).length > 0 && (
            <Tool label={say(SHELL.teach)} onClick={onTeach}>
              <Icon path="M5 3.5v9l7-4.5z" isFilled />
            </Tool>
          )}
          <Tool label={say(SHELL.search)} onClick={onSearch}>
            <Icon path="M10.4 10.4 14 14M11.5 7a4.5 4.5 0 1 1-9 0 4.5 4.5 0 0 1 9 0z" />
          </Tool>
          <Tool label={say(SHELL.help)} onClick={onHelp}>
            ?
          </Tool>
          <Tool
            label={say(SHELL.language)}
            onClick={() => dispatch({ language: state.language === "en" ? "zh" : "en" })}
          >
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

function Tool({
  label,
  onClick,
  children,
}: {
  label: string;
  onClick: () => void;
  children: ComponentChildren;
}) {
  return (
    <button type="button" class="tool" aria-label={label} title={label} onClick={onClick}>
      {children}
    </button>
  );
}

function Icon({ path, isFilled = false }: { path: string; isFilled?: boolean }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={path} fill={isFilled ? "currentColor" : "none"} stroke="currentColor" stroke-width="1.6" />
    </svg>
  );
}
