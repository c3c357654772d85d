// Lines of base64, separated by tabs: secret, id, time, signatures, body. Prints `yes`, `no`, or `cannot`.
import { createInterface } from "node:readline";
import { Webhook } from "standardwebhooks";

for await (const line of createInterface({ input: process.stdin })) {
  const [secret, id, time, signature, body] = line.split("\t").map((each) => Buffer.from(each, "base64").toString());
  let webhook;
  try {
    webhook = new Webhook(secret);
  } catch {
    console.log("cannot");
    continue;
  }
  try {
    webhook.verify(body, { "webhook-id": id, "webhook-timestamp": time, "webhook-signature": signature });
    console.log("yes");
  } catch {
    console.log("no");
  }
}
