// Puts a record into an HTML file, to work on the page without Python: node dev.mjs RECORD.json OUT.html
// RECORD.json is a gptrace.page/1, or a gptrace.trace/1 made with --ops, for which a graph without
// residual connections stands in. With --watch it goes on building.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { deflateSync } from "node:zlib";

const [source, target] = process.argv.slice(2);
if (!target) {
  console.error("usage: node dev.mjs RECORD.json OUT.html");
  process.exit(2);
}
const built = (name) =>
  readFileSync(fileURLToPath(new URL(`../gptrace/report/page/${name}`, import.meta.url)), "utf8");
const record = JSON.parse(readFileSync(source, "utf8"));
const page = record.schema === "gptrace.page/1" ? record : pageOf(record);
const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const [script, style] = [built("page.js"), built("page.css")];
const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; img-src data: blob:; base-uri 'none'; form-action 'none'`;
writeFileSync(
  target,
  `<!doctype html>
<html lang="${page.language === "zh" ? "zh-CN" : "en"}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>gptrace</title>
<style>${style}</style>
</head>
<body>
<div id="gptrace"></div>
<script type="application/octet-stream" id="gptrace-page">${deflateSync(JSON.stringify(page)).toString("base64")}</script>
<script>${script}</script>
</body>
</html>
`,
);

function pageOf(trace) {
  const prompts = trace.inputs.map(() => ({}));
  return {
    schema: "gptrace.page/1",
    versions: trace.versions,
    language: "en",
    trace,
    graph: graphOf(trace),
    prompts,
    left_out: [],
  };
}

function graphOf(trace) {
  const nodes = [];
  const edges = [];
  const inside = (index) => trace.calls.filter((call) => call.parent === index);
  const likeness = (call) =>
    JSON.stringify([
      call.type,
      call.inputs.map((at) => at.dims),
      (call.ops ?? []).map((op) => op.name),
      inside(call.index).map(likeness),
    ]);
  const add = (node) => nodes.push({ id: nodes.length, ...node }) && nodes.length - 1;
  const flow = (box, source, target, made) =>
    made && edges.push({ box, source, target, shape: made.shape, dims: made.dims, tensor: edges.length });

  function visit(call, parent, layers) {
    const id = add({
      parent,
      kind: "module",
      label: call.path.split(".").at(-1) || call.type,
      call: call.index,
      ...(layers.length ? { layers } : {}),
    });
    const steps = [
      ...inside(call.index).map((child) => ({ at: child.index, child })),
      ...(call.ops ?? []).map((op, number) => ({ at: op.place - 0.5, op, number })),
    ].sort((a, b) => a.at - b.at);
    let last = id;
    let made = call.inputs[0];
    for (let at = 0; at < steps.length; at++) {
      const { child, op, number } = steps[at];
      let next;
      if (child) {
        const same = [child.index];
        while (steps[at + 1]?.child && likeness(steps[at + 1].child) === likeness(child))
          same.push(steps[++at].child.index);
        next = visit(child, id, same.length > 1 ? same : []);
      } else {
        next = add({ parent: id, kind: "operation", label: op.name, call: call.index, op: number });
      }
      flow(id, last, next, made);
      last = next;
      made = (child ?? op).outputs[0];
    }
    if (last !== id) flow(id, last, id, made);
    return id;
  }
  const root = trace.calls[0];
  const start = add({ parent: null, kind: "input", label: root.inputs[0]?.name ?? "input" });
  const model = visit(root, null, []);
  const end = add({ parent: null, kind: "output", label: "output" });
  flow(null, start, model, root.inputs[0]);
  flow(null, model, end, root.outputs[0]);
  return { nodes, edges };
}
