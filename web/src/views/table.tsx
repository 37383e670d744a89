// Every call of every module: filtered, sorted, copied.
import { useMemo, useRef, useState } from "preact/hooks";
import { useKeys } from "../keyboard";
import { ancestors, type PageIndex } from "../page_index";
import { copy, save } from "../parts/clipboard";
import { Shape } from "../parts/shape";
import type { TensorSpec } from "../record";
import type { Dispatch, State } from "../state";
import {
  COLUMNS,
  matching,
  MESH_COLUMNS,
  rowsOf,
  sorted,
  toCsv,
  toMarkdown,
  VALUE_COLUMNS,
  type Column,
  type Row,
} from "../table/rows";
import { visible } from "../visible";
import type { Say } from "../words/say";
import { TABLE } from "../words/table";
import type { View, ViewProps } from "./view";

export const table: View = { component: TableView, hasData: () => true };

const FIRST_ROWS = 250;

function TableView({ page, index, state, dispatch, say }: ViewProps) {
  const [filter, setFilter] = useState("");
  const [withOperations, setWithOperations] = useState(false);
  const [withValues, setWithValues] = useState(false);
  const [order, setOrder] = useState<{ name: string; isDown: boolean } | null>(null);
  const [limit, setLimit] = useState(FIRST_ROWS);
  const [notice, setNotice] = useState("");
  const input = useRef<HTMLInputElement>(null);
  useKeys({ "/": () => input.current?.focus() });

  const all = useMemo(() => rowsOf(page, withOperations), [page, withOperations]);
  const columns = useMemo(() => shownColumns(all, withValues), [all, withValues]);
  const rows = useMemo(() => {
    const found = matching(all, filter);
    const column = columns.find(({ name }) => name === order?.name);
    return column && order ? sorted(found, column, order.isDown) : found;
  }, [all, filter, order, columns]);
  const hasValues = all.some((row) => row.statistics);
  const hasOperations = page.trace.calls.some((call) => (call.ops ?? []).length > 0);
  const take = async (text: string) =>
    setNotice(say((await copy(text)) ? TABLE.copied : TABLE.notCopied, { count: rows.length }));
  const sort = (name: string) =>
    setOrder((old) =>
      old?.name !== name ? { name, isDown: false } : old.isDown ? null : { name, isDown: true },
    );
  return (
    <section class="table-view">
      <h2 class="unseen">{say(TABLE.title)}</h2>
      <div class="table-bar">
        <input
          ref={input}
          class="filter"
          type="search"
          value={filter}
          placeholder={say(TABLE.filter)}
          aria-label={say(TABLE.filter)}
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
        {hasOperations && (
          <Choice label={say(TABLE.operations)} value={withOperations} onChange={setWithOperations} />
        )}
        {hasValues && <Choice label={say(TABLE.values)} value={withValues} onChange={setWithValues} />}
        <span class="quiet" role="status">
          {notice || say(TABLE.rows, { shown: rows.length, count: all.length })}
        </span>
        <span class="table-copy">
          <button type="button" class="tool" onClick={() => void take(toCsv(rows, columns))}>
            {say(TABLE.csv)}
          </button>
          <button type="button" class="tool" onClick={() => void take(toMarkdown(rows, columns, say))}>
            {say(TABLE.markdown)}
          </button>
          <button
            type="button"
            class="tool"
            onClick={() => save(toCsv(rows, columns), "gptrace.csv", "text/csv")}
          >
            {say(TABLE.saveCsv)}
          </button>
        </span>
      </div>
      {rows.length === 0 ? (
        <p>{say(TABLE.none)}</p>
      ) : (
        <div class="scroll" role="region" aria-label={say(TABLE.scroll)} tabIndex={0}>
          <table class="calls">
            <thead>
              <tr>
                {columns.map((column) => (
                  <Head key={column.name} {...{ column, order, say, sort }} />
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.slice(0, limit).map((row) => (
                <Line
                  key={`${row.call} ${row.operation}`}
                  {...{ row, columns, index, state, dispatch, say }}
                  isOrdered={order === null}
                />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {rows.length > limit && (
        <button type="button" class="tool" onClick={() => setLimit(limit + 1000)}>
          {say(TABLE.more, { count: Math.min(1000, rows.length - limit) })}
        </button>
      )}
    </section>
  );
}

/** Only columns with measured values. */
function shownColumns(rows: readonly Row[], withValues: boolean): Column[] {
  const ofMesh = rows.some((row) => row.here !== null) ? MESH_COLUMNS : [];
  const columns = [...COLUMNS, ...ofMesh, ...(withValues ? VALUE_COLUMNS : [])];
  return columns.filter((column) => !column.isNumber || rows.some((row) => column.value(row) !== null));
}

function Choice({
  label,
  value,
  onChange,
}: {
  label: string;
  value: boolean;
  onChange: (value: boolean) => void;
}) {
  return (
    <label class="choice">
      <input type="checkbox" checked={value} onChange={(event) => onChange(event.currentTarget.checked)} />{" "}
      {label}
    </label>
  );
}

interface HeadProps {
  column: Column;
  order: { name: string; isDown: boolean } | null;
  say: Say;
  sort: (name: string) => void;
}

function Head({ column, order, say, sort }: HeadProps) {
  const isSorted = order?.name === column.name;
  const direction = isSorted ? (order.isDown ? "descending" : "ascending") : undefined;
  return (
    <th scope="col" class={column.isNumber ? "number" : undefined} aria-sort={direction}>
      <button type="button" onClick={() => sort(column.name)}>
        {say(column.title)}
        <span class="order" aria-hidden="true">
          {isSorted ? (order.isDown ? "▼" : "▲") : ""}
        </span>
      </button>
    </th>
  );
}

interface LineProps {
  row: Row;
  columns: readonly Column[];
  index: PageIndex;
  state: State;
  dispatch: Dispatch;
  say: Say;
  isOrdered: boolean;
}

function Line({ row, columns, index, state, dispatch, say, isOrdered }: LineProps) {
  const place = index.places.get(row.call);
  const isChosen =
    row.operation === null &&
    place !== undefined &&
    place.node.id === state.node &&
    (place.layer ?? state.layer) === state.layer;
  const show = () => {
    if (!place) return;
    const around = ancestors(index, place.node).map((box) => box.id);
    dispatch(({ open, layer }) => ({
      view: "map",
      node: place.node.id,
      layer: place.layer ?? layer,
      open: [...open, ...around],
    }));
  };
  return (
    <tr
      class={`${row.operation === null ? "" : "operation"}${isChosen ? " chosen" : ""}${row.failed ? " failed" : ""}`}
    >
      {columns.map((column) => {
        if (column.name === "path") {
          return (
            <th
              key="path"
              scope="row"
              style={isOrdered ? { paddingLeft: `${0.5 + row.depth * 0.9}em` } : undefined}
            >
              {row.operation !== null || !place ? (
                <span class="quiet">{row.operation === null ? nameOf(row, isOrdered) : "·"}</span>
              ) : (
                <button
                  type="button"
                  class="link"
                  title={say(TABLE.onMap, { path: visible(row.path) })}
                  onClick={show}
                >
                  {nameOf(row, isOrdered)}
                </button>
              )}
            </th>
          );
        }
        if (column.name === "input" || column.name === "output")
          return (
            <td key={column.name}>
              <Tensors tensors={column.name === "input" ? row.inputs : row.outputs} />
            </td>
          );
        return (
          <td key={column.name} class={column.isNumber ? "number" : undefined}>
            {column.text(row)}
          </td>
        );
      })}
    </tr>
  );
}

/** The last part of the path, if indents show the rest. */
function nameOf(row: Row, isOrdered: boolean): string {
  if (row.path === "") return visible(row.type);
  return visible(isOrdered ? row.path.slice(row.path.lastIndexOf(".") + 1) : row.path);
}

function Tensors({ tensors }: { tensors: readonly TensorSpec[] }) {
  return (
    <>
      {tensors.map((tensor, at) => (
        <div key={at} class={tensor.shape.length > 3 ? "long" : undefined}>
          <Shape dims={tensor.dims} shape={tensor.shape} />
        </div>
      ))}
    </>
  );
}
