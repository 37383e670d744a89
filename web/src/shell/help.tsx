// The help: the keys, and the legend of the map.
import { Dialog } from "../parts/dialog";
import { HELP } from "../words/help";
import type { Said, Say } from "../words/say";

const KEYS: readonly (readonly [string, Said])[] = [
  ["↑ ↓", HELP.arrows],
  ["→ ←", HELP.openClose],
  ["Enter", HELP.enter],
  ["[ ]", HELP.layer],
  [", .", HELP.token],
  ["/", HELP.search],
  ["f", HELP.fit],
  ["+ −", HELP.zoom],
  ["Space", HELP.teach],
  ["Shift Space", HELP.teachBack],
  ["Esc", HELP.escape],
  ["?", HELP.help],
];

export function Help({ views, say, onClose }: { views: number; say: Say; onClose: () => void }) {
  const keys = [[`1 – ${views}`, HELP.views] as const, ...KEYS];
  return (
    <Dialog label={say(HELP.title)} closeLabel={say(HELP.close)} onClose={onClose}>
      <dl class="keys">
        {keys.map(([key, text]) => (
          <div key={key}>
            <dt>{key.split(" ").map((one, at) => (one === "–" ? " – " : <kbd key={at}>{one}</kbd>))}</dt>
            <dd>{say(text)}</dd>
          </div>
        ))}
      </dl>
      <h3>{say(HELP.signs)}</h3>
      <dl class="keys signs">
        <div>
          <dt>
            <Sign kind="module" />
          </dt>
          <dd>{say(HELP.signModule)}</dd>
        </div>
        <div>
          <dt>
            <Sign kind="operation" />
          </dt>
          <dd>{say(HELP.signOperation)}</dd>
        </div>
        <div>
          <dt>
            <Sign kind="parameter" />
          </dt>
          <dd>{say(HELP.signParameter)}</dd>
        </div>
        <div>
          <dt>
            <Sign kind="skip" />
          </dt>
          <dd>{say(HELP.signSkip)}</dd>
        </div>
        <div>
          <dt>
            <Sign kind="loop" />
          </dt>
          <dd>{say(HELP.signLoop)}</dd>
        </div>
        <div>
          <dt>
            <Sign kind="unreached" />
          </dt>
          <dd>{say(HELP.signUnreached)}</dd>
        </div>
      </dl>
    </Dialog>
  );
}

function Sign({ kind }: { kind: string }) {
  const isLine = kind === "skip" || kind === "loop";
  return (
    <svg class="map sign" viewBox="0 0 44 22" width="44" height="22" aria-hidden="true">
      {isLine ? (
        <g class={`edge ${kind}`}>
          <path d="M4,11H34" />
          <path class="head" d="M40,11l-7,-4v8z" />
        </g>
      ) : (
        <g class={`node ${kind}${kind === "module" ? " can-open" : ""}`}>
          <rect
            class="shape-of-node"
            x="2"
            y="3"
            width="40"
            height="16"
            rx={kind === "module" || kind === "unreached" ? 4 : 8}
          />
        </g>
      )}
    </svg>
  );
}
