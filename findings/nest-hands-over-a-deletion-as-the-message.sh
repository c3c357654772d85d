#!/usr/bin/env bash
# A record of a compacted topic that has no value deletes its key. @nestjs/microservices 12.1.1 gives a handler of a
# Kafka topic the record's value as its payload (`@Payload()`), and where there is none, the whole message in its place:
# an object with key, value, headers, offset, topic, and partition. A handler that takes null for a deletion never sees
# one, and one that takes whatever object comes for a state stores such a message as the state of its key.
#
# Seen: a value '{"active":false}': {"active":false}; no value: {"key":"+14155550123","value":null,"headers":{}, ...}.
# What to do: read `context.getMessage().value`, which is null.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --silent --no-audit --no-fund --prefix . @nestjs/microservices@12.1.1 @nestjs/common@12.1.1 \
    @nestjs/core@12.1.1 kafkajs@2.2.4 reflect-metadata@0.2.2 rxjs@7.8.2
cat > seen.mjs <<'JAVASCRIPT'
import "reflect-metadata";
import { ServerKafka } from "@nestjs/microservices";

const server = new ServerKafka({});
const handler = async (payload, context) => console.log(JSON.stringify(payload), context.getMessage().value);
server.addHandler("contacts", handler, true);
for (const value of [Buffer.from('{"active":false}'), null]) {
  const message = { key: Buffer.from("+14155550123"), value, headers: {}, offset: "7", timestamp: "0" };
  await server.handleMessage({ topic: "contacts", partition: 0, message, heartbeat: async () => {} });
}
JAVASCRIPT
seen=$(node seen.mjs 2> log) || { cat log; exit 1; }
echo "$seen"
[ "$seen" = '{"active":false} { active: false }
{"key":"+14155550123","value":null,"headers":{},"offset":"7","timestamp":"0","topic":"contacts","partition":0} null' ]
