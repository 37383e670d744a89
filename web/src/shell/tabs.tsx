// The views as tabs, each with its key.
import { VIEWS } from "../views/views";
import { VIEW_NAMES, type ViewProps } from "../views/view";
import { SHELL, VIEW_TITLES } from "../words/shell";

export function Tabs({ page, prompt, state, dispatch, say }: ViewProps) {
  const move = (event: KeyboardEvent) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const at = (VIEW_NAMES.indexOf(state.view) + step + VIEW_NAMES.length) % VIEW_NAMES.length;
    const view = VIEW_NAMES[at] ?? "map";
    dispatch({ view });
    document.getElementById(`tab-${view}`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={say(SHELL.views)} onKeyDown={move}>
      {VIEW_NAMES.map((name, at) => (
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
