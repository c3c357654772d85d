#!/usr/bin/env bash
# Infobip's own Python client, infobip-api-python-client 6.0.0 with pydantic 2.14.4, has a model for the delivery reports
# that Infobip posts (SmsDeliveryResult). It reads a report with `from_json`; `to_json` of what it has read raises a
# TypeError as soon as the report has a time, which every complete report has: the times are datetime, and json.dumps
# does not know them.
#
# Seen: a report without times is written; one with `sentAt` and `doneAt` ends in "Object of type datetime is not JSON
# serializable"; `model_dump_json(by_alias=True)` of the same object works.
# What to do: keep the body as it came, or write with `model_dump_json(by_alias=True, exclude_none=True)`.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check infobip-api-python-client==6.0.0 pydantic==2.14.4
cat > seen.py <<'PYTHON'
import json
import sys

from infobip_api_client.models.sms_delivery_result import SmsDeliveryResult

bare = {"messageId": "m1", "to": "15550100001", "status": {"groupName": "DELIVERED"}}
whole = bare | {"sentAt": "2026-11-20T10:15:30.000+0000", "doneAt": "2026-11-20T10:15:32.120+0000"}


def written(report: dict[str, object]) -> str:
    read = SmsDeliveryResult.from_json(json.dumps({"results": [report]}))
    try:
        read.to_json()
    except TypeError as error:
        return str(error)
    return "written"


seen = written(bare), written(whole)
print("without times: %s; with times: %s" % seen)
dumped = SmsDeliveryResult.from_json(json.dumps({"results": [whole]})).model_dump_json(by_alias=True)
print("model_dump_json:", json.loads(dumped)["results"][0]["doneAt"])
sys.exit(seen != ("written", "Object of type datetime is not JSON serializable"))
PYTHON
venv/bin/python seen.py
