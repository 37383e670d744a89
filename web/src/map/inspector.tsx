// The details of the chosen node: all that the record has.
import type { ComponentChildren } from "preact";
import { figure, grouped, readableBytes, readableSeconds } from "../numbers";
import { callOf, layersAround, operationOf, pathOf, type PageIndex } from "../page_index";
import { Shape } from "../parts/shape";
import { trafficText } from "../parts/traffic";
import type { Here, ModuleCall, Node, OpCall, TensorSpec } from "../record";
import type { Dispatch, State } from "../state";
import { visible } from "../visible";
import { INSPECTOR, MAP } from "../words/map";
import type { Say } from "../words/say";

interface InspectorProps {
  index: PageIndex;
  state: State;
  dispatch: Dispatch;
  say: Say;
}

export function Inspector({ index, state, dispatch, say }: InspectorProps) {
  const node = state.node === null ? undefined : index.nodes.get(state.node);
  const close = () => dispatch({ node: null });
  if (!node) {
    return (
      <aside class="inspector empty" aria-label={say(INSPECTOR.title)}>
        <p>{say(MAP.nothing)}</p>
        <p class="quiet">{say(MAP.howTo)}</p>
      </aside>
    );
  }
  const path = pathOf(index, node, state.layer);
  const operation = operationOf(index, node, state.layer);
  const call = callOf(index, node, state.layer);
  const name = operation ? operation.name : path || node.label;
  return (
    <aside class="inspector" tabIndex={0} aria-label={say(INSPECTOR.title)}>
      <button
        type="button"
        class="tool close"
        aria-label={say(INSPECTOR.close)}
        title={say(INSPECTOR.close)}
        onClick={close}
      >
        ×
      </button>
      <p class="kind">{say(index.graph.unreached.has(node.id) ? MAP.unreached : MAP[node.kind])}</p>
      <h2 class="mono">{visible(name)}</h2>
      {operation ? (
        <Operation {...{ operation, say }} path={call?.path ?? ""} />
      ) : call && node.kind === "module" ? (
        <Module {...{ call, say }} hasTime={index.isTimed} />
      ) : (
        <Loose {...{ index, node, say }} />
      )}
      {call && node.kind === "module" && (
        <p>
          <button type="button" class="link" onClick={() => dispatch({ view: "table" })}>
            {say(INSPECTOR.inTable)}
          </button>
        </p>
      )}
      {layersAround(index, node) > 1 && (
        <p class="quiet">{say(MAP.layer, { number: state.layer, last: layersAround(index, node) - 1 })}</p>
      )}
    </aside>
  );
}

function Module({ call, hasTime, say }: { call: ModuleCall; hasTime: boolean; say: Say }) {
  const { parameters } = call;
  const isDivided = parameters.own !== parameters.total && parameters.own > 0;
  const count = isDivided
    ? say(INSPECTOR.ownParameters, { total: grouped(parameters.total), own: grouped(parameters.own) })
    : grouped(parameters.total);
  return (
    <>
      <p class="mono">
        {visible(call.type)}
        {call.calls > 1 && (
          <span class="quiet"> · {say(INSPECTOR.callOf, { call: call.call, calls: call.calls })}</span>
        )}
      </p>
      {call.failed && <p class="verdict-bad">{say(INSPECTOR.failed)}</p>}
      <Tensors title={say(INSPECTOR.inputs)} tensors={call.inputs} say={say} />
      <Tensors title={say(INSPECTOR.outputs)} tensors={call.outputs} say={say} />
      <Facts
        facts={[
          [say(INSPECTOR.parameters), count],
          [say(INSPECTOR.bytes), parameters.total > 0 ? readableBytes(parameters.bytes) : ""],
          [say(INSPECTOR.macs), macsOf(call, say)],
          [say(INSPECTOR.time), hasTime ? readableSeconds(call.seconds) : ""],
          [say(INSPECTOR.peak), call.peak_bytes == null ? "" : readableBytes(call.peak_bytes)],
          ...factsHere(call.here, say),
          ...kindsOf([...call.inputs, ...call.outputs], say),
        ]}
      />
      <Statistics tensors={call.outputs} say={say} />
      {(call.ops ?? []).length > 0 && (
        <>
          <h3>{say(INSPECTOR.operations)}</h3>
          <ul class="operations">
            {call.ops?.map((op, at) => (
              <li key={at}>
                <code>{visible(op.name)}</code>{" "}
                <span class="quiet" title={visible(op.source)}>
                  {placeOf(op, say)}
                </span>
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}

function Operation({ operation, path, say }: { operation: OpCall; path: string; say: Say }) {
  return (
    <>
      {path && <p class="path">{say(INSPECTOR.of, { path: visible(path) })}</p>}
      {operation.failed && <p class="verdict-bad">{say(INSPECTOR.failed)}</p>}
      <Tensors title={say(INSPECTOR.inputs)} tensors={operation.inputs} say={say} />
      <Tensors title={say(INSPECTOR.outputs)} tensors={operation.outputs} say={say} />
      {operation.view && <p class="quiet">{say(INSPECTOR.view)}</p>}
      {operation.in_place && <p class="quiet">{say(INSPECTOR.inPlace)}</p>}
      <Facts
        facts={[
          [say(INSPECTOR.source), placeOf(operation, say)],
          [say(INSPECTOR.macs), macsOf(operation, say)],
          ...factsHere(operation.here, say),
          ...kindsOf([...operation.inputs, ...operation.outputs], say),
        ]}
      />
      <Statistics tensors={operation.outputs} say={say} />
    </>
  );
}

/** An end of the graph, a parameter, or a module that never ran: it has no call of its own. */
function Loose({ index, node, say }: { index: PageIndex; node: Node; say: Say }) {
  if (index.graph.unreached.has(node.id)) {
    return <p>{say(INSPECTOR.unreached)}</p>;
  }
  const edge = index.graph.edges.find((one) => one.source === node.id || one.target === node.id);
  return edge ? (
    <>
      <h3>{say(INSPECTOR.tensor)}</h3>
      <p>
        <Shape dims={edge.dims} shape={edge.shape} />
      </p>
    </>
  ) : null;
}

function Tensors({ title, tensors, say }: { title: string; tensors: readonly TensorSpec[]; say: Say }) {
  if (tensors.length === 0) return null;
  return (
    <>
      <h3>{title}</h3>
      <dl class="tensors">
        {tensors.map((tensor, at) => (
          <div key={at}>
            <dt>{visible(tensor.name)}</dt>
            <dd>
              <Shape dims={tensor.dims} shape={tensor.shape} />
              {tensor.local_shape && <LocalShape tensor={tensor} shape={tensor.local_shape} say={say} />}
            </dd>
          </div>
        ))}
      </dl>
    </>
  );
}

/** The part of this rank: its shape, and how torch places it. */
function LocalShape({ tensor, shape, say }: { tensor: TensorSpec; shape: readonly number[]; say: Say }) {
  const placements = Object.entries(tensor.placements ?? {}).map(([dim, how]) => `${dim}: ${how}`);
  if (placements.length === 0 && shape.join() === tensor.shape.join()) return null;
  return (
    <span class="local-shape">
      {say(INSPECTOR.here)} <Shape dims={tensor.dims} shape={shape} splitBy={tensor.split_by ?? []} />
      {placements.length > 0 && <span class="quiet"> {visible(placements.join(", "))}</span>}
    </span>
  );
}

/** What this rank holds and does in a call or an operation. */
function factsHere(here: Here | null | undefined, say: Say): [string, string][] {
  if (!here) return [];
  return [
    [say(INSPECTOR.parametersHere), here.parameters == null ? "" : grouped(here.parameters)],
    [say(INSPECTOR.bytesHere), here.parameter_bytes ? readableBytes(here.parameter_bytes) : ""],
    [say(INSPECTOR.macsHere), macsOf(here, say)],
    [say(INSPECTOR.peakHere), here.peak_bytes == null ? "" : readableBytes(here.peak_bytes)],
    [say(INSPECTOR.sent), trafficText(here.traffic ?? [], say)],
  ];
}

function Facts({ facts }: { facts: readonly (readonly [string, ComponentChildren])[] }) {
  const shown = facts.filter(([, value]) => value !== "");
  return shown.length === 0 ? null : (
    <dl class="facts">
      {shown.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Statistics({ tensors, say }: { tensors: readonly TensorSpec[]; say: Say }) {
  const measured = tensors.filter((tensor) => tensor.statistics);
  if (measured.length === 0) return null;
  return (
    <>
      <h3>{say(INSPECTOR.statistics)}</h3>
      {measured.map(({ name, statistics }, at) => (
        <div key={at}>
          {tensors.length > 1 && <p class="path">{visible(name)}</p>}
          <dl class="statistics">
            {(["mean", "std", "min", "max", "nan", "infinite"] as const).map((measure) => (
              <div key={measure}>
                <dt>{measure}</dt>
                <dd>{figure(statistics?.[measure])}</dd>
              </div>
            ))}
          </dl>
        </div>
      ))}
    </>
  );
}

export function macsOf(cost: Pick<ModuleCall, "macs" | "macs_unknown">, say: Say): string {
  if (cost.macs == null) return "";
  const unknown = cost.macs_unknown ?? [];
  return unknown.length === 0
    ? grouped(cost.macs)
    : say(INSPECTOR.macsUnknown, { macs: grouped(cost.macs), names: unknown.map(visible).join(", ") });
}

function placeOf(operation: OpCall, say: Say): string {
  const place = visible(operation.source.replace(/^.*[\\/]/, ""));
  return operation.cell == null ? place : say(INSPECTOR.sourceCell, { place, cell: operation.cell });
}

function kindsOf(tensors: readonly TensorSpec[], say: Say): [string, string][] {
  const all = (name: "dtype" | "device") =>
    [...new Set(tensors.map((tensor) => tensor[name]))].map(visible).join(", ");
  return [
    [say(INSPECTOR.dtype), all("dtype")],
    [say(INSPECTOR.device), all("device")],
  ];
}
