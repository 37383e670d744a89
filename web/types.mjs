// Writes src/record.ts, the types of the Page record, from the JSON Schema on stdin:
//   gptrace schema page | npm run --silent types
import { readFileSync, writeFileSync } from "node:fs";
import { compile } from "json-schema-to-typescript";

const schema = JSON.parse(readFileSync(0, "utf8"));
// Names of positions in a list that only say where they are would become types of their own.
const types = await compile({ ...schema, title: undefined }, "Page", {
  additionalProperties: false,
  bannerComment: "// Made from the JSON Schema by `make web`; change the records in gptrace/record instead.",
  ignoreMinAndMaxItems: true,
});
writeFileSync(new URL("src/record.ts", import.meta.url), types);
