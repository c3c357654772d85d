#!/usr/bin/env bash
# An Avro decimal is an unscaled integer; its scale stands in the schema alone (Avro 1.12, "Decimal"). Apache's Python
# library avro 1.12.2 writes the digits of a `Decimal` as they are and does not bring them to the schema's scale: a price
# of 1.5 at scale 2 is read back as 0.15, ten units as 0.01, without any error. What has as many digits after the point
# as the schema says is right, so tests with "1.50" pass.
#
# Seen with {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}: 1.50 -> 1.50, 1.5 -> 0.15,
# Decimal("1E+1") -> 0.01 with avro; 1.50, 1.50 and 10.00 with fastavro 1.13.1 from the same values and schema.
# What to do: quantize to the schema's scale before writing, or write with fastavro.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check avro==1.12.2 fastavro==1.13.1
cat > seen.py <<'PYTHON'
import io
import json
import sys
from decimal import Decimal

import avro.io
import avro.schema
import fastavro

schema = {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}
values = [Decimal("1.50"), Decimal("1.5"), Decimal("1E+1")]


def by_avro(value: Decimal) -> str:
    parsed, out = avro.schema.parse(json.dumps(schema)), io.BytesIO()
    avro.io.DatumWriter(parsed).write(value, avro.io.BinaryEncoder(out))
    return str(avro.io.DatumReader(parsed).read(avro.io.BinaryDecoder(io.BytesIO(out.getvalue()))))


def by_fastavro(value: Decimal) -> str:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return str(fastavro.schemaless_reader(io.BytesIO(out.getvalue()), fastavro.parse_schema(schema)))


seen = {name: [read(value) for value in values] for name, read in (("avro", by_avro), ("fastavro", by_fastavro))}
print("written:", *values)
for name, read in seen.items():
    print(f"{name} reads:", *read)
sys.exit(seen != {"avro": ["1.50", "0.15", "0.01"], "fastavro": ["1.50", "1.50", "10.00"]})
PYTHON
venv/bin/python seen.py
