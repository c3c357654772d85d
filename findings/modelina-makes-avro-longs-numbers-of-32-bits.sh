#!/usr/bin/env bash
# An Avro long has 64 bits, and a time in milliseconds (timestamp-millis) needs 41 of them. @asyncapi/modelina 5.10.1 makes
# classes of the messages in an AsyncAPI document, also where they are in Avro. A long becomes the same type there as an
# int, one of 32 bits, in Java, C#, Kotlin, and Rust. What it writes compiles and takes small numbers; it cannot hold the
# time of any event after January 1970.
#
# Seen with a long, a timestamp-millis, and an int: Java Integer, C# int, Kotlin Int, Rust i32, for all three of them.
# What to do: make classes from the Avro schemas themselves, with a generator of Avro.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --silent --no-audit --no-fund --prefix . @asyncapi/modelina@5.10.1
cat > seen.js <<'JAVASCRIPT'
const { CSharpGenerator, JavaGenerator, KotlinGenerator, RustGenerator } = require("@asyncapi/modelina");

const record = {
  type: "record",
  name: "Occurrence",
  fields: [
    { name: "size", type: "long" },
    { name: "at", type: { type: "long", logicalType: "timestamp-millis" } },
    { name: "count", type: "int" },
  ],
};
const payload = { schemaFormat: "application/vnd.apache.avro;version=1.9.0", schema: record };
const document = () => ({
  asyncapi: "3.0.0",
  info: { title: "Occurrences", version: "1.0.0" },
  channels: { occurrences: { address: "occurrences", messages: { Occurrence: { payload } } } },
  operations: { read: { action: "receive", channel: { $ref: "#/channels/occurrences" } } },
});
const languages = {
  Java: [JavaGenerator, /private (\w+) (size|at|count);/g, "Integer"],
  "C#": [CSharpGenerator, /private (\w+)\? (size|at|count);/g, "int"],
  Kotlin: [KotlinGenerator, /val (?:size|at|count): (\w+)/g, "Int"],
  Rust: [RustGenerator, /pub (?:size|at|count): Option<(\w+)>/g, "i32"],
};

(async () => {
  let asSeen = true;
  for (const [language, [Generator, field, narrow]] of Object.entries(languages)) {
    const models = await new Generator().generate(document());
    const types = models.flatMap(({ result }) => [...result.matchAll(field)].map((found) => found[1]));
    console.log(`${language}: long ${types[0]}, timestamp-millis ${types[1]}, int ${types[2]}`);
    asSeen &&= types.length === 3 && types.every((type) => type === narrow);
  }
  process.exit(asSeen ? 0 : 1);
})();
JAVASCRIPT
node seen.js
