// A shape with the names of its axes: [batch 1, seq_len 4, emb_dim 768].
import { Fragment } from "preact";
import { axisClass } from "../axes";
import { visible } from "../visible";

export interface Axes {
  dims: readonly string[];
  shape: readonly number[];
}

/** The names, each with its size in small figures; a size without a name stands alone. */
export function Shape({ dims, shape, splitBy = [] }: Axes & { splitBy?: readonly (readonly string[])[] }) {
  return (
    <span class="shape">
      [
      {dims.map((name, at) => (
        <Fragment key={at}>
          {at > 0 && ", "}
          <AxisName name={name} />
          {(splitBy[at] ?? []).map((dim) => `/${visible(dim)}`).join("")}
          {name !== String(shape[at]) && <span class="axis-size"> {shape[at]}</span>}
        </Fragment>
      ))}
      ]
    </span>
  );
}

export function AxisName({ name }: { name: string }) {
  return <span class={axisClass(name)}>{visible(name)}</span>;
}

/** The same as plain text. */
export function shapeText({ dims, shape }: Axes): string {
  return `[${dims.map((name, at) => (name === String(shape[at]) ? name : `${visible(name)} ${shape[at]}`)).join(", ")}]`;
}
