#!/usr/bin/env bash
# A CloudEvent in Kafka's binary mode may hold Avro: its value is bytes, and `content-type: application/avro` says so.
# cloudevents 2.2.0 for Python gives such data to its reader as bytes or as text, by whether the bytes happen to be
# valid UTF-8. Small Avro records often are (lengths, ids and ASCII all lie below 128), larger ones seldom: code that
# was tried with one record fails with the next.
#
# Seen: two records of one schema, `text` 3 and 100 characters long: the first comes as str, the second as bytes.
# What to do: `data.encode()` where it is a str (nothing is lost), or read the record's value without the binding.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check cloudevents==2.2.0 fastavro==1.13.1
cat > seen.py <<'PYTHON'
import io
import sys

import fastavro
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat

schema = {"type": "record", "name": "Reply", "fields": [{"name": "text", "type": "string"}]}
headers = {"ce_id": b"1", "ce_source": b"/a", "ce_specversion": b"1.0", "ce_type": b"reply"}


def data(text: str) -> str | bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, {"text": text})
    message = KafkaMessage(headers=headers | {"content-type": b"application/avro"}, key=None, value=out.getvalue())
    return from_binary(message, JSONFormat()).get_data()


seen = [type(data("x" * length)).__name__ for length in (3, 100)]
print("3 characters: %s; 100 characters: %s" % tuple(seen))
sys.exit(seen != ["str", "bytes"])
PYTHON
venv/bin/python seen.py
