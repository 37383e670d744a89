// One step of the lesson, below the map that marks the part it is about.
import type { Step } from "../lesson";
import { Prose, Verdict } from "../parts/prose";
import type { Dispatch } from "../state";
import { visible } from "../visible";
import { LESSON } from "../words/help";
import type { Say } from "../words/say";

interface LessonCardProps {
  steps: readonly Step[];
  at: number;
  dispatch: Dispatch;
  say: Say;
}

export function LessonCard({ steps, at, dispatch, say }: LessonCardProps) {
  const step = steps[at];
  if (!step)
    return (
      <section class="lesson" aria-label={say(LESSON.title)}>
        <p>{say(LESSON.missing)}</p>
      </section>
    );
  const topics = (steps.at(-1)?.topicAt ?? 0) + 1;
  return (
    <section class="lesson" aria-label={say(LESSON.title)}>
      <div class="lesson-head">
        <h2>{say(LESSON.progress, { topic: step.topicAt + 1, topics, title: visible(step.topic.title) })}</h2>
        <span class="quiet">
          {say(LESSON.step, { step: step.claimAt + 1, steps: step.topic.claims.length })}
        </span>
      </div>
      <div aria-live="polite">
        <p class="lesson-text">
          <Verdict holds={step.claim.holds} /> <Prose text={step.claim.text} />
        </p>
        <p class="lesson-measured">
          <Prose text={step.claim.measured} />
        </p>
      </div>
      <div class="lesson-buttons">
        <button type="button" class="tool" disabled={at === 0} onClick={() => dispatch({ lesson: at - 1 })}>
          {say(LESSON.back)}
        </button>
        <button
          type="button"
          class="tool main"
          onClick={() => dispatch({ lesson: at + 1 < steps.length ? at + 1 : null })}
        >
          {say(LESSON.next)}
        </button>
        <button type="button" class="tool" onClick={() => dispatch({ lesson: null })}>
          {say(LESSON.end)}
        </button>
      </div>
    </section>
  );
}
