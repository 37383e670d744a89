// The place where the forward pass failed, or the line that a check blames: on the map and in words.
import { useEffect, useMemo } from "preact/hooks";
import { Canvas } from "../map/canvas";
import { blamedNode, blames, boxesAround, failuresOf } from "../map/failures";
import { Prose, Verdict } from "../parts/prose";
import { Shape } from "../parts/shape";
import type { CheckResult, Failure, Node, SourceLine } from "../record";
import { hasFailure } from "../state";
import { checkIn, diagnosisIn, failingLine } from "../verdict";
import { visible, visibleLines } from "../visible";
import { FAILURE } from "../words/failure";
import type { Say } from "../words/say";
import { VIEW_TITLES } from "../words/shell";
import type { View, ViewProps } from "./view";

export const failure: View = {
  component: FailureView,
  hasData: (page) => hasFailure(page) || page.check != null,
};

const NONE: ReadonlySet<number> = new Set();

function FailureView({ page, index, state, dispatch, say }: ViewProps) {
  const failures = useMemo(() => failuresOf(page, index, state.language), [page, index, state.language]);
  const show = (nodes = failures.nodes) =>
    dispatch(({ open }) => ({ open: [...open, ...boxesAround(index, nodes)], node: nodes[0]?.id ?? null }));
  useEffect(() => show(), [page, index]);
  const checks = checkIn(page, state.language)?.checks ?? [];
  if (!hasFailure(page)) {
    return (
      <section class="left-out padded">
        <h2>{say(VIEW_TITLES.failure)}</h2>
        <p>{say(FAILURE.nothingChecked)}</p>
        <Checks checks={checks} say={say} isOpen />
      </section>
    );
  }
  return (
    <div class="map-view">
      <div class="map-side">
        {page.graph.nodes.length > 0 && (
          <Canvas
            {...{ index, state, dispatch, say }}
            failed={failures.failed}
            bad={failures.bad}
            told={NONE}
            remarks={failures.remarks}
          />
        )}
      </div>
      <aside class="inspector failure-text" tabIndex={0} aria-label={say(FAILURE.region)}>
        <FailureText {...{ page, index, state, say }} onShow={(node) => show([node])} />
      </aside>
    </div>
  );
}

interface FailureTextProps extends Pick<ViewProps, "page" | "index" | "state" | "say"> {
  onShow?: (node: Node) => void;
}

/** The failure and the findings of the checks, in words. */
export function FailureText({ page, index, state, say, onShow }: FailureTextProps) {
  const { error } = page.trace;
  const check = checkIn(page, state.language);
  return (
    <>
      {error && <Broken {...{ page, state, error, say }} unreached={[...index.graph.unreached.values()]} />}
      {blames(check).map((group) => {
        const node = group[0] && blamedNode(group[0], page, index);
        return (
          <Blamed
            key={group[0]?.name}
            checks={group}
            say={say}
            onShow={node && onShow ? () => onShow(node) : null}
          />
        );
      })}
      <Checks checks={check?.checks ?? []} say={say} />
    </>
  );
}

interface BrokenProps extends Pick<ViewProps, "page" | "state" | "say"> {
  error: Failure;
  unreached: readonly string[];
}

function Broken({ page, state, error, unreached, say }: BrokenProps) {
  const diagnosis = diagnosisIn(page, state.language);
  const { place, code } = failingLine(page, state.language);
  return (
    <section>
      <h2 class="verdict-bad">
        {say(FAILURE.stopped, { type: visible(error.type), path: visible(error.path) || say(FAILURE.model) })}
      </h2>
      {diagnosis && (
        <>
          <h3>{say(FAILURE.cause)}</h3>
          <p class="diagnosis">
            <Prose text={diagnosis} />
          </p>
        </>
      )}
      {error.inputs.length > 0 && (
        <>
          <h3>{say(FAILURE.got)}</h3>
          {error.inputs.map((tensor, at) => (
            <p key={at}>
              <code>{visible(tensor.name)}</code> <Shape dims={tensor.dims} shape={tensor.shape} />
            </p>
          ))}
        </>
      )}
      {error.source && (
        <>
          <h3>{say(FAILURE.line)}</h3>
          {place && <p class="quiet">{visible(place)}</p>}
          <pre class="source">{visibleLines(code)}</pre>
        </>
      )}
      <h3>{say(FAILURE.message)}</h3>
      <pre class="source">{visibleLines(error.message)}</pre>
      {unreached.length > 0 && (
        <>
          <h3>
            {say(FAILURE.unreached)} <span class="quiet">({say(FAILURE.unreachedHow)})</span>
          </h3>
          <ul class="operations">
            {unreached.map((path) => (
              <li key={path} class="quiet">
                <code>{visible(path)}</code>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

/** The checks that one line breaks, with its operation and its remedy once. */
function Blamed({
  checks,
  say,
  onShow,
}: {
  checks: readonly CheckResult[];
  say: Say;
  onShow: (() => void) | null;
}) {
  const [check] = checks;
  if (!check) return null;
  const axes = (names: readonly string[] | undefined) => `[${(names ?? []).map(visible).join(", ")}]`;
  return (
    <section class="blamed">
      {checks.map((one) => (
        <div key={one.name}>
          <h2 class="verdict-bad">
            <Verdict holds={false} /> {visible(one.name)}
          </h2>
          <p>
            <Prose text={one.sentence} />
          </p>
        </div>
      ))}
      {check.source && (
        <>
          <h3>{say(FAILURE.line)}</h3>
          <p class="quiet">{placeOf(check.source)}</p>
          <pre class="source">{visibleLines(check.source.text)}</pre>
        </>
      )}
      {check.operation && (
        <p>
          <code>{visible(check.operation)}</code>
          {check.path && (
            <>
              {" "}
              · <code>{visible(check.path)}</code>
            </>
          )}
          {(check.before ?? []).length > 0 && (
            <span class="mono">
              {" "}
              {axes(check.before)} → {axes(check.after)}
            </span>
          )}
        </p>
      )}
      {check.likely && (
        <>
          <h3>{say(FAILURE.likely)}</h3>
          <p>
            <Prose text={check.likely} />
          </p>
        </>
      )}
      {check.instead && (
        <>
          <h3>{say(FAILURE.instead)}</h3>
          <p class="source good-source">
            <Prose text={check.instead} />
          </p>
        </>
      )}
      {onShow && (
        <p>
          <button type="button" class="link" onClick={onShow}>
            {say(FAILURE.onMap)}
          </button>
        </p>
      )}
    </section>
  );
}

function placeOf(source: SourceLine): string {
  const place = `${visible(source.file.replace(/^.*[\\/]/, ""))}:${source.line}`;
  return source.function ? `${place} ${visible(source.function)}` : place;
}

/** Checks that cannot be judged for the same reason are told once. */
function alike(checks: readonly CheckResult[]): { check: CheckResult; names: string[] }[] {
  const told: { check: CheckResult; names: string[] }[] = [];
  for (const check of checks) {
    const known = told.find((one) => one.check.holds === null && check.holds === null && one.check.reason === check.reason);
    if (known) known.names.push(check.name);
    else told.push({ check, names: [check.name] });
  }
  return told;
}

function Checks({ checks, say, isOpen = false }: { checks: readonly CheckResult[]; say: Say; isOpen?: boolean }) {
  if (checks.length === 0) return null;
  return (
    <details class="all-checks" open={isOpen}>
      <summary>
        {say(FAILURE.otherChecks)} ({checks.length})
      </summary>
      <ul class="operations">
        {alike(checks).map(({ check, names }) => (
          <li key={check.name}>
            <Verdict holds={check.holds} /> <strong>{names.map(visible).join(", ")}</strong>{" "}
            <span class="quiet">
              <Prose text={check.holds === null ? check.reason || say(FAILURE.notJudged) : check.sentence} />
            </span>
          </li>
        ))}
      </ul>
    </details>
  );
}
