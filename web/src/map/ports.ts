// The points where tensors cross the border of a box.
import type { Edge } from "../record";
import type { BoxLayout } from "./box_layout";
import type { Item } from "./strip_layout";

/** Each has a node without a size, with a number below 0. */
export class Ports {
  readonly entries = new Set<number>();
  readonly exits = new Set<number>();
  private readonly ids = new Map<string, number>();
  private readonly tensors = new Map<number, number>();

  constructor(private readonly box: number | null) {}

  entry({ source, tensor }: Edge): number {
    return source === this.box ? this.port("in", tensor, this.entries) : source;
  }

  exit({ target, tensor }: Edge): number {
    return target === this.box ? this.port("out", tensor, this.exits) : target;
  }

  around(items: readonly Item[]): Item[] {
    const point = (id: number): Item => ({
      id,
      isOpen: true,
      width: 8,
      height: 0,
      entry: () => 4,
      exit: () => 4,
    });
    return [...[...this.entries].map(point), ...items, ...[...this.exits].map(point)];
  }

  places(layout: BoxLayout): { entries: Map<number, number>; exits: Map<number, number> } {
    const of = (ids: ReadonlySet<number>) =>
      new Map([...ids].map((id) => [this.tensors.get(id) ?? -1, (layout.places.get(id)?.x ?? 0) + 4]));
    return { entries: of(this.entries), exits: of(this.exits) };
  }

  private port(way: string, tensor: number, ids: Set<number>): number {
    const key = `${way} ${tensor}`;
    let id = this.ids.get(key);
    if (id === undefined) this.ids.set(key, (id = -1 - this.ids.size));
    ids.add(id);
    this.tensors.set(id, tensor);
    return id;
  }
}
