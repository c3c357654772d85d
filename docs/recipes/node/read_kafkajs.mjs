// node read_kafkajs.mjs 10 sms.events.delivery sms.contacts      (how many records, 0: for ever; which topics)
import { Kafka, logLevel } from "kafkajs";
import { print, typed } from "./typed.mjs";

const [wanted, ...topics] = process.argv.slice(2);
const kafka = new Kafka({ brokers: process.env.KAFKA_BOOTSTRAP_SERVERS.split(","), logLevel: logLevel.ERROR });
const consumer = kafka.consumer({ groupId: process.env.GROUP ?? "kafkajs-report" });
// A batch in a codec that kafkajs lacks ends the consumer for good. Let the process end too: somebody starts it again.
consumer.on(consumer.events.CRASH, () => process.exit(1));

await consumer.connect();
await consumer.subscribe({ topics, fromBeginning: true });
let read = 0;
await consumer.run({
  eachMessage: async ({ topic, message }) => {
    if (Number(wanted) && read >= Number(wanted)) return;
    print(topic, message.key.toString(), message.headers.ce_type?.toString(), await typed(message.value));
    if (++read === Number(wanted)) setImmediate(() => consumer.disconnect());
  },
});
