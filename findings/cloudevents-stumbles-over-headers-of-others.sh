#!/usr/bin/env bash
# The value of a Kafka record's header is bytes of any form, or null; CloudEvents' Kafka binding takes only headers that
# begin with ce_, and content-type. cloudevents 2.2.0 for Python decodes every header as UTF-8 before it looks at its
# name, and the key as well: a record that also carries a binary header of a tracer, of a client's serializer, a null
# header, or a binary key cannot be read at all.
#
# Seen: without other headers the event is read; with a header of 16 random bytes (an id) UnicodeDecodeError; with a null
# header AttributeError; with a key of an Avro serializer UnicodeDecodeError.
# What to do: give `from_binary` only the headers that it means, and the key as text or not at all.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check cloudevents==2.2.0
cat > seen.py <<'PYTHON'
import sys
import uuid

from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat

own = {"ce_id": b"1", "ce_source": b"/a", "ce_specversion": b"1.0", "ce_type": b"reply"}
an_id = uuid.UUID("0f8fad5b-d9cb-469f-a165-70867728950e").bytes
cases = {
    "its own headers": (own, None),
    "a binary header": (own | {"__value_schema_id": b"\x01" + an_id}, None),
    "a null header": (own | {"note": None}, None),
    "a binary key": (own, b"\x00\x00\x00\x00\x80k"),
}


def read(headers: dict[str, bytes | None], key: bytes | None) -> str:
    try:
        from_binary(KafkaMessage(headers=headers, key=key, value=b"{}"), JSONFormat())
    except Exception as error:
        return type(error).__name__
    return "read"


seen = {name: read(*case) for name, case in cases.items()}
for name, what in seen.items():
    print(f"{name}: {what}")
sys.exit(list(seen.values()) != ["read", "UnicodeDecodeError", "AttributeError", "UnicodeDecodeError"])
PYTHON
venv/bin/python seen.py
