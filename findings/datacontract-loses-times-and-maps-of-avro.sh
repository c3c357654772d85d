#!/usr/bin/env bash
# datacontract-cli 1.2.8 imports an Avro schema as a data contract (ODCS), and exports a contract as Avro. The contract has
# everything: a timestamp-millis has `logicalType: timestamp`, a map the type of its values. On the way back the export
# prefers what the import noted beside it, `physicalType: long` and the custom property `avroType: map`: the time becomes
# a plain long, without a word, and the map `"type": "map"`, which is no Avro schema.
#
# Seen: {"type": "long", "logicalType": "timestamp-millis"} -> "long"; {"type": "map", "values": "string"} -> "map", and
# fastavro 1.13.1 refuses the schema; the same contract without physicalType and avroType gives both as they were.
# What to do: take both out of the contract that was imported, at fields whose logicalType is timestamp or map.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv python
python/bin/pip install --quiet 'datacontract-cli[avro]==1.2.8' fastavro==1.13.1
cat > event.avsc <<'JSON'
{"type": "record", "name": "Event", "fields": [
  {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
  {"name": "tags", "type": {"type": "map", "values": "string"}}]}
JSON
python/bin/datacontract import avro --source event.avsc --output imported.yaml > log 2>&1 || { cat log; exit 1; }
cat > without.py <<'PYTHON'
import yaml

contract = yaml.safe_load(open("imported.yaml"))
for field in contract["schema"][0]["properties"]:
    print(field["name"], field["logicalType"], field["physicalType"], field.get("customProperties"))
    del field["physicalType"]
    field.pop("customProperties", None)
yaml.safe_dump(contract, open("without.yaml", "w"))
PYTHON
python/bin/python without.py
for contract in imported without; do
    python/bin/datacontract export avro $contract.yaml > $contract.avsc 2> log || { cat log; exit 1; }
done
cat > seen.py <<'PYTHON'
import json

import fastavro

seen = {}
for name in ("event", "imported", "without"):
    schema = json.load(open(f"{name}.avsc"))
    try:
        fastavro.parse_schema(schema)
        verdict = "read"
    except fastavro.schema.UnknownType as error:
        verdict = f"refused, unknown type {error}"
    seen[name] = [[field["type"] for field in schema["fields"]], verdict]
    print(name, *seen[name])
types = [{"type": "long", "logicalType": "timestamp-millis"}, {"type": "map", "values": "string"}]
right = [types, "read"]
raise SystemExit(seen != {"event": right, "imported": [["long", "map"], "refused, unknown type map"], "without": right})
PYTHON
python/bin/python seen.py
