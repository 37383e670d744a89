// The model as nested boxes; in the lesson, the part that each step is about is marked.
import { useEffect, useMemo } from "preact/hooks";
import { stepsOf } from "../lesson";
import { Canvas } from "../map/canvas";
import { failuresOf } from "../map/failures";
import { Inspector } from "../map/inspector";
import { LessonCard } from "../map/lesson_card";
import { firstState } from "../state";
import type { View, ViewProps } from "./view";

export const map: View = {
  component: MapView,
  hasData: (page) => page.graph.nodes.length > 0,
};

const NONE: ReadonlySet<number> = new Set();

function MapView({ page, index, state, dispatch, say }: ViewProps) {
  const failures = useMemo(() => failuresOf(page, index, state.language), [page, index, state.language]);
  const steps = useMemo(() => stepsOf(page, index, state.language), [page, index, state.language]);
  const step = state.lesson === null ? undefined : steps[state.lesson];
  const told = useMemo(() => (step ? new Set(step.nodes.map((node) => node.id)) : NONE), [step]);
  useEffect(() => {
    if (!step) return;
    const first = firstState(page, index).open;
    dispatch(({ layer }) => ({ open: [...first, ...step.open], layer: step.layer ?? layer, node: null }));
  }, [step]);
  return (
    <div class="map-view">
      <div class="map-side">
        <Canvas {...{ index, state, dispatch, say, told }} failed={failures.failed} bad={failures.bad} />
        {state.lesson !== null && <LessonCard {...{ steps, dispatch, say }} at={state.lesson} />}
      </div>
      <Inspector {...{ index, state, dispatch, say }} />
    </div>
  );
}
