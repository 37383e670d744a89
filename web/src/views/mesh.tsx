// The mesh that a model is spread over: its ranks, the part of each, and the messages between them.
import { useMemo, useState } from "preact/hooks";
import { readableBytes } from "../numbers";
import { trafficGroups } from "../parts/traffic";
import type { Here, Mesh, Trace } from "../record";
import { visible } from "../visible";
import { MESH } from "../words/mesh";
import type { Said, Say } from "../words/say";
import { Lead } from "./common/lead";
import { gridOf, placeText } from "./mesh/places";
import { RankGrid } from "./mesh/rank_grid";
import { RankTable, TrafficTable } from "./mesh/tables";
import type { View, ViewProps } from "./view";

export const mesh: View = {
  component: MeshView,
  hasData: (page) => page.trace.mesh != null,
};

function MeshView(props: ViewProps) {
  const { trace } = props.page;
  return trace.mesh ? <Spread {...props} trace={trace} mesh={trace.mesh} /> : null;
}

function Spread({ trace, mesh, ...props }: ViewProps & { trace: Trace; mesh: Mesh }) {
  const { say } = props;
  const grid = useMemo(() => gridOf(mesh), [mesh]);
  const facts = useMemo(() => factsOf(trace, mesh), [trace, mesh]);
  const groups = useMemo(() => trafficGroups(trace.totals.here?.traffic ?? []), [trace]);
  const used = grid.names.filter((name) => groups.some((group) => group.along === name));
  const [along, setAlong] = useState(used.at(-1) ?? "");
  const [chosen, choose] = useState(mesh.rank);
  const kinds = groups.filter((group) => group.along === along).map((group) => visible(group.kind));
  const here = facts.get(chosen);
  return (
    <>
      <Lead {...props}>{leadOf(trace, mesh, say)}</Lead>
      {used.length > 0 && (
        <fieldset class="along">
          <legend>{say(MESH.along)}</legend>
          {used.map((name) => (
            <label key={name}>
              <input type="radio" name="along" checked={name === along} onChange={() => setAlong(name)} />{" "}
              {say(MESH.alongDim, { dim: visible(name) })}
            </label>
          ))}
        </fieldset>
      )}
      <RankGrid {...{ mesh, grid, facts, chosen, choose, along, say }} kinds={kinds.join(", ")} />
      <section class="mesh-part" aria-live="polite">
        <h3>
          {say(MESH.rank, { number: chosen })} <span class="quiet">{visible(placeText(grid, chosen))}</span>
        </h3>
        {here ? (
          <RankTable {...{ trace, here, say }} rank={chosen} />
        ) : (
          <p>{say(mesh.simulated ? MESH.unknown : MESH.notGathered, { number: chosen })}</p>
        )}
      </section>
      <section class="mesh-part">
        <h3>{say(MESH.traffic)}</h3>
        <TrafficTable groups={groups} say={say} />
      </section>
      <Differing mesh={mesh} say={say} />
      <p class="quiet mesh-part">{say(MESH.limits)}</p>
    </>
  );
}

/** What is known of the ranks: of all where they were measured, else of the one whose record it is. */
function factsOf(trace: Trace, mesh: Mesh): Map<number, Here> {
  const facts = new Map((mesh.ranks ?? []).map(({ rank, here }) => [rank, here]));
  if (trace.totals.here) facts.set(mesh.rank, trace.totals.here);
  return facts;
}

function leadOf(trace: Trace, mesh: Mesh, say: Say): string {
  const grid = gridOf(mesh);
  const dims = grid.names.map((name, at) => `${visible(name)} ${grid.sizes[at]}`).join(" × ");
  const how = mesh.simulated ? say(MESH.simulated) : say(MESH.measured, { backend: visible(mesh.backend) });
  const place = visible(placeText(grid, mesh.rank));
  const count = grid.count.toLocaleString("en");
  const plans: Record<string, string> = { "built in": say(MESH.builtIn), transformers: say(MESH.transformers) };
  const bytes = trace.totals.here?.parameter_bytes;
  return [
    say(MESH.lead, { dims, count, how, rank: mesh.rank, place }),
    ...(mesh.plan ? [say(MESH.plan, { plan: plans[mesh.plan] ?? visible(mesh.plan) })] : []),
    ...(bytes == null
      ? []
      : [say(MESH.held, { part: readableBytes(bytes), whole: readableBytes(trace.model.parameters.bytes) })]),
  ].join(" ");
}

/** What a rank may differ in, as the record calls it. */
const FACTS: Record<string, Said> = {
  versions: MESH.versions,
  calls: MESH.calls,
  outputs: MESH.outputs,
  macs: MESH.macs,
  traffic: MESH.trafficOfCall,
  predictions: MESH.predictions,
  none: MESH.none,
};

function Differing({ mesh, say }: { mesh: Mesh; say: Say }) {
  if ((mesh.differing ?? []).length === 0) return null;
  const told = (text: string) => (FACTS[text] ? say(FACTS[text]) : visible(text));
  return (
    <section class="mesh-part">
      <h3>{say(MESH.differing)}</h3>
      <ul>
        {mesh.differing?.map(({ rank, what, path, here, there }, at) => (
          <li key={at} class="verdict-bad">
            {say(MESH.difference, {
              number: rank,
              what: path ? say(MESH.at, { what: told(what), path: visible(path) }) : told(what),
              here: told(here),
              there: told(there),
            })}
          </li>
        ))}
      </ul>
    </section>
  );
}
