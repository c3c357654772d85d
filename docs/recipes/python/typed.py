"""What is behind the five bytes of a record: a zero, the schema's id, then the Avro body."""

import json
import os
import struct
from functools import cache
from io import BytesIO
from urllib.request import urlopen

from fastavro import parse_schema, schemaless_reader


@cache
def schema(schema_id):
    """The schema that a record was written with."""
    with urlopen(f"{os.environ['SCHEMA_REGISTRY_URL']}/schemas/ids/{schema_id}") as answer:
        return parse_schema(json.loads(json.load(answer)["schema"]))


def decode(value):
    """The fields of a value; None of a record without one, which says that its key is gone."""
    if value is None:
        return None
    magic, schema_id = struct.unpack(">bI", value[:5])
    assert magic == 0, "not written by trackly"
    return schemaless_reader(BytesIO(value[5:]), schema(schema_id))


def plain(value):
    """What JSON has no word for. Times come as datetime in UTC."""
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def show(topic, key, headers, value):
    """Print a record as one JSON line."""
    kind = headers.get("ce_type")
    line = {"topic": topic, "key": key.decode(), "type": kind and kind.decode(), "value": value}
    print(json.dumps(line, default=plain), flush=True)
