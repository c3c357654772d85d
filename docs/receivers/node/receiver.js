// node receiver.js: takes webhooks on port 8000 (PORT) into ./inbox (INBOX), signed with WEBHOOK_SECRET.
const crypto = require("node:crypto");
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");
const { isOurs } = require("./webhooks.js");

const { WEBHOOK_SECRET: secret, INBOX: inbox = "inbox", PORT: port = "8000" } = process.env;
const done = path.join(inbox, "done"); // a worker of yours moves a file here when it has done what there is to do
fs.mkdirSync(done, { recursive: true });

function keep(id, body) {
  // The same id is the same event: it has the same file, and one that is done stays done.
  if (fs.existsSync(path.join(done, id))) return;
  const beside = path.join(inbox, `.${crypto.randomUUID()}`);
  fs.writeFileSync(beside, body, { flush: true });
  fs.renameSync(beside, path.join(inbox, id));
}

const server = http.createServer((request, response) => {
  const answer = (status) => response.writeHead(status, { Connection: "close" }).end();
  const chunks = [];
  let length = 0;
  request.on("data", (chunk) => {
    length += chunk.length;
    if (length <= 1_000_000) chunks.push(chunk);
  });
  request.on("end", () => {
    const body = Buffer.concat(chunks);
    const given = ["id", "timestamp", "signature"].map((name) => request.headers[`webhook-${name}`] ?? "");
    const [id, timestamp, signature] = given;
    if (length > 1_000_000) return answer(413);
    if (!/^[\w.-]{1,200}$/.test(id) || !isOurs(secret, id, timestamp, signature, body)) return answer(401);
    keep(id, body);
    answer(204); // kept: answer, and work afterwards
  });
});
server.listen(Number(port), "127.0.0.1");
