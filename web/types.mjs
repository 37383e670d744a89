// Writes the types of the Page record, from the JSON Schema on stdin, to src/record.ts or to another file:
//   gptrace schema page | node types.mjs [FILE]
import { readFileSync, writeFileSync } from "node:fs";
import { compile } from "json-schema-to-typescript";

const schema = JSON.parse(readFileSync(0, "utf8"));
const types = await compile({ ...schema, title: undefined }, "Page", {
  additionalProperties: false,
  bannerComment: "// Made from the JSON Schema by `make web`; change the records in gptrace/record instead.",
  ignoreMinAndMaxItems: true,
});
writeFileSync(process.argv[2] ?? new URL("src/record.ts", import.meta.url), types);
