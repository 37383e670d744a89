// The steps of the stream at the chosen position, with their numbers.
import { visible } from "../../visible";
import type { Say } from "../../words/say";
import { STREAM } from "../../words/stream";
import { Bar } from "../common/bar";
import { share } from "../common/numbers";
import { ScrollBox } from "../common/scroll_box";
import { sizeText } from "./chart";
import type { Step } from "./points";

interface StepTableProps {
  steps: readonly Step[];
  position: number;
  chosen: number;
  choose: (row: number) => void;
  say: Say;
}

export function StepTable({ steps, position, chosen, choose, say }: StepTableProps) {
  const most = Math.max(...steps.map((step) => step.added[position] ?? 0));
  return (
    <ScrollBox label={say(STREAM.steps)} class="step-box">
      <table class="step-table">
        <thead>
          <tr>
            <th scope="col">{say(STREAM.step)}</th>
            <th scope="col">{say(STREAM.added)}</th>
            <th scope="col" class="number">
              {say(STREAM.share)}
            </th>
            <th scope="col" class="number">
              {say(STREAM.after)}
            </th>
          </tr>
        </thead>
        <tbody>
          {steps.map((step, at) => {
            const added = step.added[position];
            const before = at > 0 ? steps[at - 1]?.norms[position] : null;
            return (
              <tr key={at} class={at === chosen ? "chosen" : ""} onClick={() => choose(at)}>
                <th scope="row">{visible(step.path)}</th>
                <td class="added">
                  <span class="number">{added == null ? "–" : sizeText(added)}</span>
                  {added != null && <Bar part={added / most} />}
                </td>
                <td class="number">{added == null || !before ? "–" : share(added / before)}</td>
                <td class="number">{sizeText(step.norms[position])}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </ScrollBox>
  );
}
