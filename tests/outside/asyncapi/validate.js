// Prints what AsyncAPI's own parser finds wrong with a document, one diagnostic a line; exit code 1 if anything is.
const { readFileSync } = require("node:fs");
const { Parser } = require("@asyncapi/parser");
const { AvroSchemaParser } = require("@asyncapi/avro-schema-parser");

async function main() {
  const parser = new Parser();
  parser.registerSchemaParser(AvroSchemaParser());
  const { document, diagnostics } = await parser.parse(readFileSync(process.argv[2], "utf-8"));
  const wrong = diagnostics.filter((each) => each.severity <= 1);
  for (const each of wrong) console.log(`${each.path.join(".")}: ${each.message}`);
  if (!wrong.length) console.log(`channels: ${document.channels().all().length}`);
  process.exit(wrong.length ? 1 : 0);
}

main();
