// The buttons on the map.
import { useState } from "preact/hooks";
import { MAP } from "../words/map";
import type { Say } from "../words/say";
import type { MapLayout } from "./layout";
import { savePicture } from "./picture";

interface ToolsProps {
  say: Say;
  fit: () => void;
  by: (factor: number) => void;
  svg: { current: SVGSVGElement | null };
  map: MapLayout;
}

export function Tools({ say, fit, by, svg, map }: ToolsProps) {
  const [problem, setProblem] = useState("");
  const save = () => {
    if (svg.current)
      savePicture(svg.current, map).then(
        () => setProblem(""),
        (error: unknown) => setProblem(String(error)),
      );
  };
  return (
    <div class="map-tools">
      <button
        type="button"
        class="tool"
        title={say(MAP.closer)}
        aria-label={say(MAP.closer)}
        onClick={() => by(1.25)}
      >
        +
      </button>
      <button
        type="button"
        class="tool"
        title={say(MAP.farther)}
        aria-label={say(MAP.farther)}
        onClick={() => by(0.8)}
      >
        −
      </button>
      <button type="button" class="tool" title={say(MAP.fit)} aria-label={say(MAP.fit)} onClick={fit}>
        <svg viewBox="0 0 16 16" width="15" height="15" aria-hidden="true">
          <path
            d="M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4"
            fill="none"
            stroke="currentColor"
            stroke-width="1.6"
          />
        </svg>
      </button>
      <button
        type="button"
        class="tool"
        title={say(MAP.picture)}
        aria-label={say(MAP.picture)}
        onClick={save}
      >
        PNG
      </button>
      {problem && <p class="warning">{problem}</p>}
    </div>
  );
}
