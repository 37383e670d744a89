// Builds gptrace/report/page/: page.js and page.css, which the report puts into one
// HTML file, and layout.js, which lays out the SVG picture.
// The same sources give the same bytes.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const folder = fileURLToPath(new URL(".", import.meta.url));
const target = process.argv[2] ?? fileURLToPath(new URL("../gptrace/report/page/", import.meta.url));
mkdirSync(target, { recursive: true });

const shared = {
  absWorkingDir: folder,
  bundle: true,
  minify: true,
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
};
await build({
  ...shared,
  entryPoints: { page: "src/main.tsx" },
  outdir: target,
  format: "iife",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
});
await build({
  ...shared,
  entryPoints: { layout: "src/map/layout_entry.ts" },
  outdir: target,
  format: "iife",
  target: "es2020",
});
await build({ ...shared, entryPoints: { page: "src/styles.css" }, outdir: target });

// dagre separates the parts of its keys by U+0001, which HTML does not allow raw.
for (const name of ["page.js", "layout.js"]) {
  const code = readFileSync(`${target}/${name}`, "utf8");
  const control = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;
  const escape = (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  writeFileSync(`${target}/${name}`, code.replace(control, escape));
}

const licences = ["@dagrejs/dagre", "@dagrejs/graphlib", "preact"].map((name) => {
  const read = (file) => readFileSync(new URL(`node_modules/${name}/${file}`, import.meta.url), "utf8");
  return `${name} ${JSON.parse(read("package.json")).version}\n\n${read("LICENSE").trim()}\n`;
});
const heading = "page.js and layout.js contain these libraries.\n";
writeFileSync(`${target}/THIRD_PARTY_LICENSES`, [heading, ...licences].join(`\n${"-".repeat(80)}\n\n`));
