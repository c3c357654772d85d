#!/usr/bin/env bash
# CloudEvents 1.0 has the string form of a Boolean attribute as `true` or `false`, in lower case ("Type System").
# cloudevents 2.2.0 for Python writes an attribute that is True into a Kafka header as `True`, Python's own word, and
# reads `true` back as text. A reader in another language that follows the specification finds no Boolean there.
# An event in structured mode, written by the same library, has `true`.
#
# Seen: binary "True", structured true.
# What to do: give extension attributes as the text that the specification asks for.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check cloudevents==2.2.0
cat > seen.py <<'PYTHON'
import json
import sys

from cloudevents.core.bindings.kafka import to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

event = CloudEvent({"id": "1", "source": "/a", "specversion": "1.0", "type": "reply", "replayed": True}, {})
binary = to_binary(event, JSONFormat()).headers["ce_replayed"]
structured = json.loads(to_structured(event, JSONFormat()).value)["replayed"]
print("binary:", binary.decode(), "structured:", json.dumps(structured))
sys.exit((binary, structured) != (b"True", True))
PYTHON
venv/bin/python seen.py
