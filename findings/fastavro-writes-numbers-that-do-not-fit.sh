#!/usr/bin/env bash
# fastavro 1.13.1 does not look whether a number fits its type, unless it is asked to (`validator` of the container
# writer, `fastavro.validate`; `schemaless_writer` has neither by default): a number of 41 bits is written as an Avro
# "int" of 32 and a fraction as a "long" without it; a double too large for a "float" becomes infinite. In a union the
# same number goes to the first type that does fit, so an integer of 64 bits and one more becomes a double.
#
# Seen: int 2**40 -> 1099511627776, long 3.7 -> 3, float 1e300 -> inf,
# ["long", "double"] 2**63 + 1 -> 9.223372036854776e+18. avro 1.12.2 refuses the first three and does the last.
# What to do: bound numbers where they are read; validate what is foreign before writing it.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check fastavro==1.13.1 avro==1.12.2
cat > seen.py <<'PYTHON'
import io
import json
import sys

import avro.io
import avro.schema
import fastavro

cases = [("int", 2**40), ("long", 3.7), ("float", 1e300), (["long", "double"], 2**63 + 1)]


def by_fastavro(schema: object, value: float) -> object:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, value)
    return fastavro.schemaless_reader(io.BytesIO(out.getvalue()), schema)


def by_avro(schema: object, value: float) -> object:
    out = io.BytesIO()
    try:
        parsed = avro.schema.parse(json.dumps(schema))
        avro.io.DatumWriter(parsed).write(value, avro.io.BinaryEncoder(out))
    except Exception:
        return "refused"
    return avro.io.DatumReader(parsed).read(avro.io.BinaryDecoder(io.BytesIO(out.getvalue())))


seen = [(by_fastavro(*case), by_avro(*case)) for case in cases]
for (schema, value), (fast, official) in zip(cases, seen):
    print(f"{schema} {value}: fastavro reads back {fast}, avro {official}")
large = float(2**63)
sys.exit(seen != [(2**40, "refused"), (3, "refused"), (float("inf"), "refused"), (large, large)])
PYTHON
venv/bin/python seen.py
