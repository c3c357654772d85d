#!/usr/bin/env bash
# restify 11.1.0 takes media types that end in "+json" for JSON (RFC 6839), if what stands before the plus has letters
# and dots alone. A hyphen or a digit, which many types have (application/cloudevents-batch+json, versions of an API),
# makes the body unknown to `bodyParser`: `req.body` is a Buffer, and no error says so. A receiver that was tried with
# single events does not read its first batch.
#
# Seen: application/json and application/cloudevents+json: an object; application/cloudevents-batch+json and
# application/vnd.example.v2+json: a Buffer; each with status 200.
# What to do: `JSON.parse(req.body)` where it is a Buffer.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --silent --no-audit --no-fund --prefix . restify@11.1.0
cat > seen.js <<'JAVASCRIPT'
const restify = require("restify");

const server = restify.createServer();
server.use(restify.plugins.bodyParser());
server.post("/", (request, response, next) => {
  response.send(Buffer.isBuffer(request.body) ? "Buffer" : typeof request.body);
  next();
});
server.listen(0, "127.0.0.1", async () => {
  for (const kind of ["json", "cloudevents+json", "cloudevents-batch+json", "vnd.example.v2+json"]) {
    const answer = await fetch(`http://127.0.0.1:${server.address().port}/`, {
      method: "POST",
      body: JSON.stringify([{ id: "evt_1" }]),
      headers: { "Content-Type": `application/${kind}` },
    });
    console.log(kind, answer.status, await answer.json());
  }
  process.exit();
});
JAVASCRIPT
seen=$(node seen.js 2> log) || { cat log; exit 1; }
echo "$seen"
[ "$seen" = "json 200 object
cloudevents+json 200 object
cloudevents-batch+json 200 Buffer
vnd.example.v2+json 200 Buffer" ]
