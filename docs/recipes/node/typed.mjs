// What is behind the five bytes: a zero, the schema's id, then the Avro body.
import avro from "avsc";

class Time extends avro.types.LogicalType {
  _fromValue(milliseconds) {
    return new Date(milliseconds);
  }
}

// A contact's `version` may have more than the 53 bits of a number, at which avsc gives up. Such a one is a BigInt here;
// numbers and BigInts can be compared with < and >.
const long = avro.types.LongType.__with({
  fromBuffer: (bytes) => least(bytes.readBigInt64LE()),
  toBuffer: (value) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(value));
    return bytes;
  },
  fromJSON: (value) => least(BigInt(value)),
  toJSON: Number,
  isValid: (value) => typeof value === "bigint" || Number.isSafeInteger(value),
  compare: (one, other) => Number(one > other) - Number(one < other),
});

function least(value) {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

const types = new Map();

export async function typed(value) {
  if (value === null) return null; // the key is gone
  const id = value.readInt32BE(1);
  if (!types.has(id)) {
    const answer = await fetch(`${process.env.SCHEMA_REGISTRY_URL}/schemas/ids/${id}`);
    if (!answer.ok) throw new Error(`schema ${id}: ${answer.status} ${await answer.text()}`);
    const { schema } = await answer.json();
    const known = { registry: { long }, logicalTypes: { "timestamp-millis": Time } };
    types.set(id, avro.Type.forSchema(JSON.parse(schema), known));
  }
  return types.get(id).fromBuffer(value.subarray(5));
}

export function print(topic, key, type, value) {
  const text = (name, each) => (typeof each === "bigint" ? String(each) : each);
  console.log(JSON.stringify({ topic, key, type, value }, text));
}
