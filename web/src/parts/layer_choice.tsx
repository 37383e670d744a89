// The slider that chooses one of equal blocks.
import type { Dispatch, State } from "../state";
import { MAP } from "../words/map";
import type { Say } from "../words/say";

interface LayerChoiceProps {
  count: number;
  state: State;
  dispatch: Dispatch;
  say: Say;
}

export function LayerChoice({ count, state, dispatch, say }: LayerChoiceProps) {
  if (count < 2) return null;
  const last = count - 1;
  const layer = Math.min(state.layer, last);
  return (
    <div class="layer-choice">
      <button
        type="button"
        class="tool"
        title={say(MAP.previousLayer)}
        aria-label={say(MAP.previousLayer)}
        disabled={layer === 0}
        onClick={() => dispatch({ layer: layer - 1 })}
      >
        ‹
      </button>
      <input
        type="range"
        min={0}
        max={last}
        value={layer}
        aria-label={say(MAP.layerSlider)}
        onInput={(event) => dispatch({ layer: Number(event.currentTarget.value) })}
      />
      <button
        type="button"
        class="tool"
        title={say(MAP.nextLayer)}
        aria-label={say(MAP.nextLayer)}
        disabled={layer === last}
        onClick={() => dispatch({ layer: layer + 1 })}
      >
        ›
      </button>
      <output>{say(MAP.layer, { number: layer, last })}</output>
    </div>
  );
}
