#!/usr/bin/env bash
# The npm package cloudevents 10.0.0 has a Kafka binding. What it gives and takes does not fit the messages of the Kafka
# clients for Node: kafkajs for one hands over headers as Buffers, and wants a value that is a Buffer or a string.
#
# Seen: `Kafka.toEvent` of a message with headers as Buffers raises "contentType.startsWith is not a function", with
# the same headers as text it reads the event; `Kafka.binary` of an event with JSON data leaves the value an object,
# and the header content-type undefined where no datacontenttype was given.
# What to do: turn headers into text before `toEvent`; serialize the value and drop undefined headers after `binary`.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --silent --no-audit --no-fund --prefix . cloudevents@10.0.0
cat > seen.js <<'JAVASCRIPT'
const { CloudEvent, Kafka } = require("cloudevents");

const text = {
  ce_id: "1", ce_source: "/a", ce_specversion: "1.0", ce_type: "reply", "content-type": "application/json",
};
const buffers = Object.fromEntries(Object.entries(text).map(([name, value]) => [name, Buffer.from(value)]));
const read = (headers) => {
  try {
    return Kafka.toEvent({ headers, value: Buffer.from('{"text":"STOP"}') }).id;
  } catch (error) {
    return error.message;
  }
};
const written = Kafka.binary(new CloudEvent({ id: "1", source: "/a", type: "reply", data: { text: "STOP" } }));
const seen = [read(text), read(buffers), typeof written.value, String(written.headers["content-type"])];
console.log(`headers as text: event ${seen[0]}; as Buffers: ${seen[1]}`);
console.log(`written value: ${seen[2]}; content-type: ${seen[3]}`);
const expected = ["1", "contentType.startsWith is not a function", "object", "undefined"];
process.exit(seen.every((value, at) => value === expected[at]) ? 0 : 1);
JAVASCRIPT
node seen.js
