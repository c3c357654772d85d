// node read_platformatic.mjs 10 sms.events.delivery sms.contacts (how many records, 0: for ever; which topics)
// It wants Node 22.22 or newer.
import { Consumer, stringDeserializer } from "@platformatic/kafka";
import { print, typed } from "./typed.mjs";

// Its own registry client would parse headers as JSON, make deletions empty, and give up at a large version of a contact.
const text = { key: stringDeserializer, headerKey: stringDeserializer, headerValue: stringDeserializer };

const [wanted, ...topics] = process.argv.slice(2);
const consumer = new Consumer({
  groupId: process.env.GROUP ?? "platformatic-report",
  clientId: "report",
  bootstrapBrokers: process.env.KAFKA_BOOTSTRAP_SERVERS.split(","),
  deserializers: { ...text, value: (bytes) => bytes ?? null },
});

let read = 0;
const stream = await consumer.consume({ topics, mode: "earliest", fallbackMode: "earliest" });
for await (const message of stream) {
  print(message.topic, message.key, message.headers.get("ce_type"), await typed(message.value));
  if (++read === Number(wanted)) break;
}
await consumer.close(true);
