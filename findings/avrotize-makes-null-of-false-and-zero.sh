#!/usr/bin/env bash
# An Avro field of ["null", "boolean"] has three values, and null means something else than false: not known, not said. So
# does 0 or an empty text beside null. avrotize 3.9.3 makes Python classes of Avro schemas (`a2py`), whose `__post_init__`
# asks whether such a field's value is true, and takes None otherwise. A record that is read has None where false, 0, or
# an empty text stood, and a record that is written has null there. No error says so.
#
# Seen with false, 0, and "", each in a union with null: None, None, None when read; null, null, null when written from
# an object that was made with these values. Fields that cannot be null keep theirs.
# What to do: datamodel-code-generator 0.89.0 (`--input-file-type avro`) makes classes that keep them.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv python
python/bin/pip install --quiet avrotize==3.9.3 fastavro==1.13.1 avro==1.12.2 datamodel-code-generator==0.89.0
cat > event.avsc <<'JSON'
{"type": "record", "name": "Event", "namespace": "shop", "fields": [
  {"name": "answered", "type": ["null", "boolean"], "default": null},
  {"name": "parts", "type": ["null", "int"], "default": null},
  {"name": "text", "type": ["null", "string"], "default": null},
  {"name": "final", "type": "boolean"},
  {"name": "failures", "type": "int"}]}
JSON
python/bin/avrotize a2py event.avsc --out classes --package event --avro-annotation > log 2>&1 || { cat log; exit 1; }
python/bin/datamodel-codegen --input event.avsc --input-file-type avro --output other.py \
    --output-model-type pydantic_v2.BaseModel > log 2>&1 || { cat log; exit 1; }
cat > seen.py <<'PYTHON'
import io
import json

import fastavro
from event.shop.event import Event
from other import Event as Other

schema = fastavro.parse_schema(json.load(open("event.avsc")))
record = {"answered": False, "parts": 0, "text": "", "final": False, "failures": 0}
out = io.BytesIO()
fastavro.schemaless_writer(out, schema, record)
read = Event.from_data(out.getvalue(), "avro/binary")
seen = {
    "read": {name: getattr(read, name) for name in record},
    "written": fastavro.schemaless_reader(io.BytesIO(Event(**record).to_byte_array("avro/binary")), schema, None),
    "datamodel-code-generator": Other(**fastavro.schemaless_reader(io.BytesIO(out.getvalue()), schema, None)).model_dump(),
}
for name, values in seen.items():
    print(name, values)
lost = {**record, "answered": None, "parts": None, "text": None}
raise SystemExit(seen != {"read": lost, "written": lost, "datamodel-code-generator": record})
PYTHON
PYTHONPATH=classes/src python/bin/python seen.py
