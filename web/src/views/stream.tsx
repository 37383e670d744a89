// The residual stream: its norm by step and position, and the norm of what each step adds.
import { useMemo, useState } from "preact/hooks";
import { tokenLabel } from "../tokens";
import { visible } from "../visible";
import { STREAM } from "../words/stream";
import { columnsAround, ColumnTurner } from "./common/columns";
import { Lead } from "./common/lead";
import { PositionGrid, type GridCell } from "./common/position_grid";
import { sizeText, StreamChart } from "./stream/chart";
import { scaleOf, stepsOf, type Scale, type Step } from "./stream/points";
import { StepTable } from "./stream/table";
import type { View, ViewProps } from "./view";

export const stream: View = {
  component: Stream,
  hasData: (_page, prompt) => (prompt.stream ?? []).length > 0,
};

function Stream(props: ViewProps) {
  const { page, prompt, state, dispatch, say } = props;
  const steps = useMemo(() => stepsOf(prompt, page.trace.calls), [prompt, page]);
  const scale = useMemo(() => scaleOf(numbersOf(steps), true), [steps]);
  const [chosen, choose] = useState(0);
  const tokens = page.trace.inputs[state.prompt]?.tokens ?? [];
  const count = steps[0]?.norms.length ?? 0;
  const position = Math.min(state.position, count - 1);
  const columns = columnsAround(position, count, steps.length);
  const row = Math.min(chosen, steps.length - 1);
  return (
    <>
      <Lead {...props}>{say(STREAM.lead)}</Lead>
      <Measured {...props} steps={steps} position={position} />
      <div class="stream-body">
        <StreamChart key={state.prompt} {...{ steps, position, say }} />
        <section class="stream-steps">
          <h3>{say(STREAM.steps)}</h3>
          <StepTable {...{ steps, position, say, choose }} chosen={row} />
        </section>
      </div>
      <p class="quiet stream-size">{say(STREAM.size)}</p>
      <section class="stream-grid">
        <h3>{say(STREAM.grid)}</h3>
        <p class="quiet">{say(STREAM.gridLead)}</p>
        <ColumnTurner columns={columns} dispatch={dispatch} say={say} />
        <PositionGrid
          label={say(STREAM.grid)}
          corner={say(STREAM.step)}
          rows={steps.map(({ name, path, block }) => ({ name: block === null ? visible(name) : `${block} ${visible(name)}`, path }))}
          columns={columns}
          tokens={tokens}
          chosen={{ row, position }}
          choose={(step, at) => {
            choose(step);
            dispatch({ position: at });
          }}
          cell={(step, at) => cellOf(steps[step]?.norms[at], scale)}
        />
      </section>
    </>
  );
}

function numbersOf(steps: readonly Step[]): number[] {
  return steps.flatMap((step) => step.norms.filter((size) => size !== null));
}

function cellOf(size: number | null | undefined, scale: Scale): GridCell {
  const part = size == null ? 0 : 0.75 * scale.part(size);
  return { class: "tinted-cell", style: { "--opacity": part.toFixed(3) }, content: sizeText(size) };
}

/** A sentence with the numbers of the chosen position. */
function Measured({ page, state, say, steps, position }: ViewProps & { steps: readonly Step[]; position: number }) {
  const token = page.trace.inputs[state.prompt]?.tokens[position];
  const adding = steps.filter((step) => step.added[position] != null);
  const [most] = [...adding].sort((a, b) => (b.added[position] ?? 0) - (a.added[position] ?? 0));
  if (!most || !token) return null;
  const values = {
    position,
    token: tokenLabel(token),
    start: sizeText(steps[0]?.norms[position]),
    end: sizeText(steps.at(-1)?.norms[position]),
    path: visible(most.path),
    added: sizeText(most.added[position]),
  };
  return <p class="measured-sentence">{say(STREAM.measured, values)}</p>;
}
