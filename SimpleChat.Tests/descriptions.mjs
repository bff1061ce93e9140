// Holds what the server says about itself against the specifications, with the validators of their communities:
// node descriptions.mjs asyncapi.json openapi.json
import { readFile } from "node:fs/promises";
import { Parser } from "@asyncapi/parser";
import { Validator } from "@seriousme/openapi-schema-validator";

const [wire, http] = await Promise.all(process.argv.slice(2).map((file) => readFile(file, "utf8")));
const { diagnostics } = await new Parser().parse(wire);
const faults = diagnostics
  .filter((fault) => fault.severity === 0)
  .map((fault) => `asyncapi.json, ${fault.path.join(".")}: ${fault.message}`);
const result = await new Validator().validate(JSON.parse(http));
if (!result.valid) {
  faults.push(`openapi.json: ${JSON.stringify(result.errors)}`);
}
console.log(faults.length === 0 ? "Both are valid." : faults.join("\n"));
process.exit(faults.length === 0 ? 0 : 1);
