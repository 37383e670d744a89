// The messages along the mesh, and the part of a rank beside the whole model.
import { macsOf } from "../../map/inspector";
import { grouped, readableBytes } from "../../numbers";
import type { TrafficGroup } from "../../parts/traffic";
import type { Here, Trace } from "../../record";
import { visible } from "../../visible";
import { MESH } from "../../words/mesh";
import type { Say } from "../../words/say";
import { ScrollBox } from "../common/scroll_box";

export function TrafficTable({ groups, say }: { groups: readonly TrafficGroup[]; say: Say }) {
  if (groups.length === 0) return <p>{say(MESH.nothing)}</p>;
  const numbers = [MESH.ranks, MESH.messages, MESH.bytes, MESH.ring];
  return (
    <>
      <ScrollBox label={say(MESH.traffic)}>
        <table class="mesh-table">
          <thead>
            <tr>
              <th scope="col">{say(MESH.dim)}</th>
              <th scope="col">{say(MESH.kind)}</th>
              {numbers.map((title, at) => (
                <th scope="col" class="number" key={at}>
                  {say(title)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {groups.map((group, at) => (
              <tr key={at}>
                <th scope="row">{visible(group.along) || "–"}</th>
                <td>{visible(group.kind)}</td>
                <td class="number">{group.ranks}</td>
                <td class="number">{grouped(group.count)}</td>
                <td class="number">{readableBytes(group.bytes)}</td>
                <td class="number">{group.ring === null ? "–" : readableBytes(group.ring)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollBox>
      <p class="quiet">{say(MESH.ringNote)}</p>
    </>
  );
}

export function RankTable({ trace, rank, here, say }: { trace: Trace; rank: number; here: Here; say: Say }) {
  const { model, totals } = trace;
  const bytes = (count: number | null | undefined) => (count == null ? "" : readableBytes(count));
  const facts = [
    [say(MESH.parameters), bytes(here.parameter_bytes), bytes(model.parameters.bytes)],
    [say(MESH.buffers), bytes(here.buffer_bytes), bytes(model.buffers.bytes)],
    [say(MESH.peak), bytes(here.peak_bytes), bytes(totals.peak_bytes)],
    [say(MESH.macs), macsOf(here, say), macsOf(totals, say)],
  ].filter(([, part]) => part !== "");
  return (
    <ScrollBox label={say(MESH.compared, { number: rank })}>
      <table class="mesh-table">
        <thead>
          <tr>
            <th scope="col">{say(MESH.fact)}</th>
            <th scope="col" class="number">
              {say(MESH.ofRank, { number: rank })}
            </th>
            <th scope="col" class="number">
              {say(MESH.whole)}
            </th>
          </tr>
        </thead>
        <tbody>
          {facts.map(([name, part, whole], at) => (
            <tr key={at}>
              <th scope="row">{name}</th>
              <td class="number">{part}</td>
              <td class="number">{whole || "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollBox>
  );
}
