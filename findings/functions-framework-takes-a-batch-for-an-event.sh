#!/usr/bin/env bash
# A function for CloudEvents on Google's Functions Framework gets one event. A sender may also post several at once, as
# application/cloudevents-batch+json (CloudEvents 1.0, HTTP binding, "Batched Content Mode"). The framework for Node,
# @google-cloud/functions-framework 5.0.5, does not know that type, hands the function the body as a Buffer in the
# event's place, and answers 204: `event.id` and `event.data` are undefined, nobody is told, and the sender takes the
# whole batch for received.
#
# Seen: one event: 204, id "evt_1"; a batch of two: 204, one call with a Buffer. functions-framework 3.10.2 for Python
# answers 500 to the batch, so that the sender tries again.
# What to do: ask the sender for single events, or write a function for HTTP (`functions.http`) and parse `req.rawBody`.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --silent --no-audit --no-fund --prefix . @google-cloud/functions-framework@5.0.5
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check functions-framework==3.10.2
cat > seen.mjs <<'JAVASCRIPT'
import { cloudEvent } from "@google-cloud/functions-framework";
import { getTestServer } from "@google-cloud/functions-framework/testing";

const calls = [];
cloudEvent("take", (event) => {
  calls.push(Buffer.isBuffer(event) ? "a Buffer" : event.id);
});
const server = getTestServer("take").listen(0, "127.0.0.1");
await new Promise((done) => server.once("listening", done));
const event = { specversion: "1.0", id: "evt_1", type: "delivery", source: "/s", data: { to: "+15551230001" } };
for (const [kind, body] of [["cloudevents", event], ["cloudevents-batch", [event, { ...event, id: "evt_2" }]]]) {
  const { status } = await fetch(`http://127.0.0.1:${server.address().port}/`, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "Content-Type": `application/${kind}+json` },
  });
  console.log(`Node, ${kind}: ${status}, ${calls.splice(0).join(", ")}`);
}
server.close();
JAVASCRIPT
cat > function.py <<'PYTHON'
import functions_framework

@functions_framework.cloud_event
def take(event):
    print("called with", event["id"])
PYTHON
cat > seen.py <<'PYTHON'
import json
import logging

from functions_framework import create_app

logging.disable()
client = create_app("take", "function.py", "cloudevent").test_client()
event = {"specversion": "1.0", "id": "evt_1", "type": "delivery", "source": "/s", "data": {"to": "+15551230001"}}
for kind, body in ("cloudevents", event), ("cloudevents-batch", [event, {**event, "id": "evt_2"}]):
    answer = client.post("/", data=json.dumps(body), content_type=f"application/{kind}+json")
    print(f"Python, {kind}: {answer.status_code}")
PYTHON
seen=$(node seen.mjs 2> log; venv/bin/python seen.py 2> log) || { cat log; exit 1; }
echo "$seen"
[ "$seen" = "Node, cloudevents: 204, evt_1
Node, cloudevents-batch: 204, a Buffer
called with evt_1
Python, cloudevents: 200
Python, cloudevents-batch: 500" ]
