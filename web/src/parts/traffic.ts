// The messages between ranks as people read them.
import { grouped, readableBytes } from "../numbers";
import type { Traffic } from "../record";
import { visible } from "../visible";
import { MESH } from "../words/mesh";
import type { Say } from "../words/say";

/** Messages of one kind along one mesh dimension. */
export interface TrafficGroup {
  kind: string;
  along: string;
  ranks: number;
  count: number;
  bytes: number;
  /** What each rank sends if the messages are passed along a ring; null for kinds without such an estimate. */
  ring: number | null;
  /** Bytes of one message, if all are equal. */
  each: number | null;
}

export function trafficGroups(messages: readonly Traffic[]): TrafficGroup[] {
  const groups = new Map<string, TrafficGroup>();
  for (const { kind, mesh_dim: along, group_size: ranks, bytes, count } of messages) {
    const key = JSON.stringify([along, kind, ranks]);
    const group = groups.get(key);
    const ring = ringBytes(kind, ranks, bytes * count);
    if (!group) groups.set(key, { kind, along, ranks, count, bytes: bytes * count, ring, each: bytes });
    else {
      group.count += count;
      group.bytes += bytes * count;
      group.ring = group.ring === null || ring === null ? null : group.ring + ring;
      if (group.each !== bytes) group.each = null;
    }
  }
  return [...groups.values()];
}

function ringBytes(kind: string, ranks: number, bytes: number): number | null {
  if (kind === "all_reduce") return Math.round((bytes * 2 * (ranks - 1)) / ranks);
  return ["all_gather", "reduce_scatter", "all_to_all"].includes(kind)
    ? Math.round((bytes * (ranks - 1)) / ranks)
    : null;
}

/** all_reduce 48.0 MiB × 8, tp */
export function groupText(group: TrafficGroup, say: Say): string {
  const { each, bytes, count } = group;
  const along = visible(group.along) || say(MESH.ranksOfGroup, { count: group.ranks });
  const kind = visible(group.kind);
  if (count === 1) return say(MESH.message, { kind, bytes: readableBytes(bytes), along });
  return each === null
    ? say(MESH.unequal, { kind, bytes: readableBytes(bytes), count: grouped(count), along })
    : say(MESH.equal, { kind, bytes: readableBytes(each), count: grouped(count), along });
}

export function trafficText(messages: readonly Traffic[], say: Say): string {
  return trafficGroups(messages)
    .map((group) => groupText(group, say))
    .join("; ");
}
