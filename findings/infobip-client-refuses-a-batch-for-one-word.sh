#!/usr/bin/env bash
# Infobip posts delivery reports in batches, and says of a report's error group "OK" in one of its APIs and "Ok" in
# another (the deprecated SMS API v2, whose example of a report in Infobip's OpenAPI document 3.210.0 has it so).
# infobip-api-python-client 6.0.0, with pydantic 2.14.4, reads `error.groupName` as a closed enum of upper-case words:
# a batch in which one report has the other spelling, or a group of a later date, is refused as a whole.
#
# Seen: two reports with "OK" are read; one "Ok" among them raises a ValidationError, and neither is read. Fields that
# the client does not know are ignored, so it is not strict by intent.
# What to do: read reports one by one, groups by their ids, and keep what a name says as text.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check infobip-api-python-client==6.0.0 pydantic==2.14.4
cat > seen.py <<'PYTHON'
import json
import sys

from infobip_api_client.models.sms_delivery_result import SmsDeliveryResult
from pydantic import ValidationError


def read(*groups: str) -> str:
    reports = [{"messageId": f"m{n}", "error": {"groupId": 0, "groupName": word}} for n, word in enumerate(groups)]
    try:
        return "%d read" % len(SmsDeliveryResult.from_json(json.dumps({"results": reports, "added": 1})).results)
    except ValidationError as error:
        return "refused: %s" % error.errors()[0]["type"]


seen = read("OK", "OK"), read("OK", "Ok")
print("OK and OK: %s; OK and Ok: %s" % seen)
sys.exit(seen != ("2 read", "refused: enum"))
PYTHON
venv/bin/python seen.py
