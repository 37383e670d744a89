// The prompt as token chips; the views follow the chosen token.
import { useEffect, useRef } from "preact/hooks";
import { tokenChip, tokenLabel } from "../tokens";
import type { ViewProps } from "../views/view";
import { visible } from "../visible";
import { SHELL } from "../words/shell";

export function Tokens({ page, state, dispatch, say }: ViewProps) {
  const chosen = useRef<HTMLButtonElement>(null);
  useEffect(
    () => chosen.current?.scrollIntoView?.({ block: "nearest", inline: "nearest" }),
    [state.position, state.prompt],
  );
  const tokens = page.trace.inputs[state.prompt]?.tokens ?? [];
  if (tokens.length === 0) return null;
  return (
    <div class="prompt">
      {page.trace.inputs.length > 1 && (
        <PromptChoice page={page} state={state} dispatch={dispatch} say={say} />
      )}
      <div
        class={`tokens${tokens.length > 60 ? " tokens-many" : tokens.length > 20 ? " tokens-some" : ""}`}
        role="group"
        aria-label={say(SHELL.tokens)}
      >
        {tokens.map((token, position) => {
          const isChosen = position === state.position;
          return (
            <button
              key={position}
              type="button"
              class="token"
              ref={isChosen ? chosen : undefined}
              tabIndex={isChosen ? 0 : -1}
              aria-pressed={isChosen}
              title={say(SHELL.token, { position, text: tokenLabel(token), id: token.id })}
              onClick={() => dispatch({ position })}
            >
              <span class="token-text">{tokenChip(token)}</span>
              <span class="token-position">{position}</span>
            </button>
          );
        })}
      </div>
    </div>
  );
}

function PromptChoice({
  page,
  state,
  dispatch,
  say,
}: Pick<ViewProps, "page" | "state" | "dispatch" | "say">) {
  const change = (event: Event) =>
    dispatch({ prompt: Number((event.currentTarget as HTMLSelectElement).value) });
  return (
    <label class="prompt-choice">
      <span class="quiet">{say(SHELL.prompt)}</span>
      <select value={state.prompt} onChange={change}>
        {page.trace.inputs.map((input, at) => (
          <option key={at} value={at}>
            {at + 1}: {visible((input.text ?? input.ids.join(" ")).slice(0, 40))}
          </option>
        ))}
      </select>
    </label>
  );
}
