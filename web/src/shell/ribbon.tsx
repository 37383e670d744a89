// The shapes from the text to the logits.
import { Fragment } from "preact";
import { Shape } from "../parts/shape";
import type { FlowStep } from "../record";
import type { ViewProps } from "../views/view";
import { visible } from "../visible";
import { SHELL } from "../words/shell";

/** Steps that change the shape; the modules between them are named on the arrow. */
export function changes(flow: readonly FlowStep[]): { step: FlowStep; by: string[] }[] {
  const found: { step: FlowStep; by: string[] }[] = [];
  for (const step of flow) {
    const last = found.at(-1);
    if (last && last.step.dims.join() === step.dims.join() && last.step.shape.join() === step.shape.join())
      last.by.push(step.at);
    else found.push({ step, by: [step.at] });
  }
  return found;
}

export function Ribbon({ page, say }: ViewProps) {
  const steps = changes(page.trace.flow);
  if (steps.length < 2) return null;
  return (
    <ol class="ribbon" aria-label={say(SHELL.shapes)}>
      {steps.map(({ step, by }, at) => (
        <Fragment key={at}>
          <li>
            {at > 0 && <span class="ribbon-by">{visible(by[0] ?? "")} →</span>}
            <Shape dims={step.dims} shape={step.shape} />
          </li>
        </Fragment>
      ))}
    </ol>
  );
}
