// The views as tabs, each with its key.
import { VIEWS } from "../views/views";
import { viewNames, type ViewProps } from "../views/view";
import { SHELL, VIEW_TITLES } from "../words/shell";

export function Tabs({ page, prompt, state, dispatch, say }: ViewProps) {
  const names = viewNames(page);
  const move = (event: KeyboardEvent) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const at = (names.indexOf(state.view) + step + names.length) % names.length;
    const view = names[at] ?? "map";
    dispatch({ view });
    document.getElementById(`tab-${view}`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={say(SHELL.views)} onKeyDown={move}>
      {names.map((name, at) => (
        <button
          key={name}
          id={`tab-${name}`}
          type="button"
          role="tab"
          class={`tab${VIEWS[name].hasData(page, prompt) ? "" : " tab-empty"}`}
          aria-selected={state.view === name}
          aria-controls="view"
          tabIndex={state.view === name ? 0 : -1}
          onClick={() => dispatch({ view: name })}
        >
          <kbd aria-hidden="true">{at + 1}</kbd>
          {say(VIEW_TITLES[name])}
        </button>
      ))}
    </div>
  );
}
