// node read_platformatic.mjs 10 sms.events.delivery sms.contacts (how many records, 0: for ever; which topics)
// It wants Node 22.22 or newer.
import { ConfluentSchemaRegistry, Consumer, stringDeserializer } from "@platformatic/kafka";
import { print } from "./typed.mjs";

// By default it parses headers as JSON; those of CloudEvents are text. And a record without a value, which says that its
// key is gone, would be an empty Buffer.
class Registry extends ConfluentSchemaRegistry {
  getDeserializers() {
    const usual = super.getDeserializers();
    const value = (data, ...rest) => (data === undefined ? null : usual.value(data, ...rest));
    return { ...usual, value, headerValue: stringDeserializer };
  }
}

const [wanted, ...topics] = process.argv.slice(2);
const consumer = new Consumer({
  groupId: process.env.GROUP ?? "platformatic-report",
  clientId: "report",
  bootstrapBrokers: process.env.KAFKA_BOOTSTRAP_SERVERS.split(","),
  registry: new Registry({ url: process.env.SCHEMA_REGISTRY_URL }),
});

let read = 0;
const stream = await consumer.consume({ topics, mode: "earliest", fallbackMode: "earliest" });
for await (const message of stream) {
  // Times are milliseconds here: its registry client knows no logical types.
  print(message.topic, message.key, message.headers.get("ce_type"), message.value);
  if (++read === Number(wanted)) break;
}
await consumer.close(true);
