#!/usr/bin/env bash
# The $id of a JSON Schema is any URI, and a schema that is on no web site often has a URN (draft 2020-12, 8.2.1). The
# npm package jsonschema 1.5.0 puts every $id together with an address of its own by the rules of web addresses, which a
# URN does not follow: it raises "Invalid URL" at each schema whose $id is a URN or a tag, whatever it is to validate.
#
# Seen on Node 20.20.2: $id https://example.com/event: valid; urn:example:event and tag:example.com,2026:event:
# TypeError, "Invalid URL"; without $id: valid. ajv 8.20.0 takes all four.
# What to do: take the $id out before validating (`const { $id, ...rest } = schema`), or ajv.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --silent --no-audit --no-fund --prefix . jsonschema@1.5.0 ajv@8.20.0
cat > seen.js <<'JAVASCRIPT'
const { validate } = require("jsonschema");
const Ajv = require("ajv/dist/2020");

const result = (call) => {
  try {
    return call();
  } catch (error) {
    return error.message;
  }
};
for (const $id of ["https://example.com/event", "urn:example:event", "tag:example.com,2026:event", undefined]) {
  const schema = { $id, type: "object", properties: { event: { const: "delivery" } }, required: ["event"] };
  if (!$id) delete schema.$id;
  const event = { event: "delivery" };
  console.log(result(() => validate(event, schema).valid), new Ajv().validate(schema, event));
}
JAVASCRIPT
seen=$(node seen.js)
echo "$seen"
[ "$seen" = "true true
Invalid URL true
Invalid URL true
true true" ]
