#!/usr/bin/env bash
# standardwebhooks 1.1.0 for Python takes the time of a message as a datetime: `Webhook.sign(id, timestamp, body)`. It
# replaces the datetime's zone by UTC instead of converting it, so the same moment given in another zone is signed as
# another moment. The receiver, who takes the moment from `webhook-timestamp`, refuses the message. A test that runs
# where the zone is UTC does not see it. svix 2.9.1 signs through the same code.
#
# Seen: one moment, given in UTC: verified; given at +05:00: "No matching signature found".
# What to do: give `sign` a datetime in UTC (`moment.astimezone(timezone.utc)`).
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check standardwebhooks==1.1.0 svix==2.9.1
cat > seen.py <<'PYTHON'
import base64
import sys
from datetime import datetime, timedelta, timezone

import standardwebhooks
import svix.webhooks

secret = "whsec_" + base64.b64encode(b"k" * 32).decode()
body = '{"event":"delivered"}'
moment = datetime.now(timezone.utc)
zones = {"UTC": timezone.utc, "+05:00": timezone(timedelta(hours=5))}


def verified(library: type, zone: timezone) -> str:
    webhook = library(secret)
    signature = webhook.sign("m1", moment.astimezone(zone), body)
    headers = {"webhook-id": "m1", "webhook-timestamp": str(int(moment.timestamp())), "webhook-signature": signature}
    try:
        webhook.verify(body, headers)
    except Exception as error:
        return str(error)
    return "verified"


refused = "No matching signature found"
right = True
for library in (standardwebhooks.Webhook, svix.webhooks.Webhook):
    seen = {name: verified(library, zone) for name, zone in zones.items()}
    print(library.__module__.split(".")[0], seen)
    right &= seen == {"UTC": "verified", "+05:00": refused}
sys.exit(not right)
PYTHON
venv/bin/python seen.py
