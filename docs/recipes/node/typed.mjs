// What is behind the five bytes: a zero, the schema's id, then the Avro body.
import avro from "avsc";

class Time extends avro.types.LogicalType {
  _fromValue(milliseconds) {
    return new Date(milliseconds);
  }
}

const types = new Map();

export async function typed(value) {
  if (value === null) return null; // the key is gone
  const id = value.readInt32BE(1);
  if (!types.has(id)) {
    const answer = await fetch(`${process.env.SCHEMA_REGISTRY_URL}/schemas/ids/${id}`);
    if (!answer.ok) throw new Error(`schema ${id}: ${answer.status} ${await answer.text()}`);
    const { schema } = await answer.json();
    types.set(id, avro.Type.forSchema(JSON.parse(schema), { logicalTypes: { "timestamp-millis": Time } }));
  }
  return types.get(id).fromBuffer(value.subarray(5));
}

export function print(topic, key, type, value) {
  console.log(JSON.stringify({ topic, key, type, value }));
}
