// The rows of the table: calls, and the operations in them.
import { figure, grouped, readableBytes, readableSeconds } from "../numbers";
import { shapeText } from "../parts/shape";
import { splitNames } from "../parts/split";
import type { Here, ModuleCall, OpCall, Page, Statistics, TensorSpec } from "../record";
import { isTimed } from "../page_index";
import { visible } from "../visible";
import { TABLE } from "../words/table";
import type { Said } from "../words/say";

export interface Row {
  /** Index of the call; an operation has that of the call that it ran in. */
  call: number;
  /** Number of the operation in its call; null for a call. */
  operation: number | null;
  depth: number;
  path: string;
  type: string;
  failed: boolean;
  inputs: readonly TensorSpec[];
  outputs: readonly TensorSpec[];
  parameters: number | null;
  macs: number | null;
  hasUnknownMacs: boolean;
  seconds: number | null;
  bytes: number | null;
  statistics: Statistics | null;
  here: Here | null;
}

export interface Column {
  name: string;
  title: Said;
  isNumber: boolean;
  text: (row: Row) => string;
  /** What the column is sorted by. */
  value: (row: Row) => number | string | null;
}

/** All rows in order of execution: an operation stands before the call that it precedes. */
export function rowsOf(page: Page, withOperations: boolean): Row[] {
  const rows = page.trace.calls.map((call) => ({ place: call.index, row: rowOfCall(call, isTimed(page.trace)) }));
  if (!withOperations) return rows.map(({ row }) => row);
  const operations = page.trace.calls.flatMap((call) =>
    (call.ops ?? []).map((operation, number) => ({
      place: operation.place - 0.5,
      row: rowOfOperation(call, operation, number),
    })),
  );
  return [...rows, ...operations].sort((a, b) => a.place - b.place).map(({ row }) => row);
}

function rowOfCall(call: ModuleCall, hasTime: boolean): Row {
  return {
    call: call.index,
    operation: null,
    depth: call.depth,
    path: call.path,
    type: call.type,
    failed: call.failed ?? false,
    inputs: call.inputs,
    outputs: call.outputs,
    parameters: call.parameters.total,
    macs: call.macs ?? null,
    hasUnknownMacs: (call.macs_unknown ?? []).length > 0,
    seconds: hasTime ? call.seconds : null,
    bytes: call.peak_bytes ?? null,
    statistics: call.outputs[0]?.statistics ?? null,
    here: call.here ?? null,
  };
}

function rowOfOperation(call: ModuleCall, operation: OpCall, number: number): Row {
  return {
    call: call.index,
    operation: number,
    depth: call.depth + 1,
    path: call.path,
    type: operation.name,
    failed: operation.failed ?? false,
    inputs: operation.inputs,
    outputs: operation.outputs,
    parameters: null,
    macs: operation.macs ?? null,
    hasUnknownMacs: (operation.macs_unknown ?? []).length > 0,
    seconds: null,
    bytes: null,
    statistics: operation.outputs[0]?.statistics ?? null,
    here: operation.here ?? null,
  };
}

const shapes = (tensors: readonly TensorSpec[]) => tensors.map(shapeText).join(", ");
const sizes = (tensors: readonly TensorSpec[]) =>
  tensors[0]?.shape.reduce((product, size) => product * size, 1) ?? null;

function number(
  name: string,
  title: Said,
  value: (row: Row) => number | null | undefined,
  text: (number: number) => string,
): Column {
  const given = (row: Row) => value(row) ?? null;
  return {
    name,
    title,
    isNumber: true,
    value: given,
    text: (row) => {
      const one = given(row);
      return one === null ? "" : text(one);
    },
  };
}

export const COLUMNS: readonly Column[] = [
  number("call", TABLE.number, (row) => row.call, String),
  {
    name: "path",
    title: TABLE.module,
    isNumber: false,
    text: (row) => visible(row.path),
    value: (row) => row.path,
  },
  {
    name: "type",
    title: TABLE.type,
    isNumber: false,
    text: (row) => visible(row.type),
    value: (row) => row.type,
  },
  {
    name: "input",
    title: TABLE.inputs,
    isNumber: false,
    text: (row) => shapes(row.inputs),
    value: (row) => sizes(row.inputs),
  },
  {
    name: "output",
    title: TABLE.outputs,
    isNumber: false,
    text: (row) => shapes(row.outputs),
    value: (row) => sizes(row.outputs),
  },
  number("params", TABLE.parameters, (row) => row.parameters, grouped),
  {
    ...number("macs", TABLE.macs, (row) => row.macs, grouped),
    text: (row) => (row.macs === null ? "" : `${grouped(row.macs)}${row.hasUnknownMacs ? " + ?" : ""}`),
  },
  number("seconds", TABLE.time, (row) => row.seconds, readableSeconds),
  number("peak_bytes", TABLE.memory, (row) => row.bytes, readableBytes),
];

/** What this rank has of a model that is spread over devices. */
export const MESH_COLUMNS: readonly Column[] = [
  {
    name: "output_here",
    title: TABLE.outputsHere,
    isNumber: false,
    text: (row) => row.outputs.map(localText).join(", "),
    value: (row) => row.outputs[0]?.local_shape?.reduce((product, size) => product * size, 1) ?? null,
  },
  number("sent_bytes", TABLE.sent, (row) => sentBytes(row), readableBytes),
  number("params_here", TABLE.parametersHere, (row) => row.here?.parameters, grouped),
  number("macs_here", TABLE.macsHere, (row) => row.here?.macs, grouped),
  number("peak_bytes_here", TABLE.memoryHere, (row) => row.here?.peak_bytes, readableBytes),
];

/** The shape of this rank's part: [batch 1, emb_dim/tp 24]; nothing where it has the whole. */
function localText({ dims, shape, local_shape: local, split_by }: TensorSpec): string {
  if (!local || local.join() === shape.join()) return "";
  return shapeText({ dims: splitNames(dims, split_by), shape: local });
}

function sentBytes({ here }: Row): number | null {
  const messages = here?.traffic ?? [];
  return messages.length > 0 ? messages.reduce((sum, { bytes, count }) => sum + bytes * count, 0) : null;
}

export const VALUE_COLUMNS: readonly Column[] = [
  number("mean", TABLE.mean, (row) => row.statistics?.mean, figure),
  number("std", TABLE.std, (row) => row.statistics?.std, figure),
  number("min", TABLE.min, (row) => row.statistics?.min, figure),
  number("max", TABLE.max, (row) => row.statistics?.max, figure),
  number("nan", TABLE.nan, (row) => row.statistics && row.statistics.nan + row.statistics.infinite, String),
];

/** Rows with every word of the filter in their path, type or shapes. */
export function matching(rows: readonly Row[], filter: string): Row[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [...rows];
  return rows.filter((row) => {
    const text = [row.path, row.type, shapes(row.inputs), shapes(row.outputs)].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

export function sorted(rows: readonly Row[], column: Column, isDown: boolean): Row[] {
  const direction = isDown ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [column.value(a), column.value(b)];
    if (x === null || y === null) return Number(x === null) - Number(y === null); // what was not measured comes last
    if (typeof x === "number" && typeof y === "number") return (x - y) * direction;
    return String(x).localeCompare(String(y), "en", { numeric: true }) * direction;
  });
}

export function toCsv(rows: readonly Row[], columns: readonly Column[]): string {
  const cell = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);
  const values = (row: Row) =>
    columns.map((column) => (column.isNumber ? String(column.value(row) ?? "") : column.text(row)));
  return [columns.map(({ name }) => name), ...rows.map(values)]
    .map((line) => `${line.map(cell).join(",")}\r\n`)
    .join("");
}

export function toMarkdown(
  rows: readonly Row[],
  columns: readonly Column[],
  say: (said: Said) => string,
): string {
  const cell = (text: string) => text.replace(/[\\|`*_<>[\]~$&#]/g, "\\$&");
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |\n`;
  const head = line(columns.map((column) => cell(say(column.title))));
  const rule = line(columns.map((column) => (column.isNumber ? "---:" : "---")));
  return head + rule + rows.map((row) => line(columns.map((column) => cell(column.text(row))))).join("");
}
