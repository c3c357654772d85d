#!/usr/bin/env bash
# Twilio signs the address of a webhook as its user entered it, and its port is there or not ("sig generation on back
# end is inconsistent", says its library). The validators of twilio for Python 9.13.0 and for Node 6.3.1 therefore try
# both. Python's takes the address apart and puts it together again, which does not give the same text for all of them,
# and cuts a port off at the first colon: right signatures are refused that Node's validator takes.
#
# Seen, with signatures over the address without its port: an address that ends in "?" or has an empty ";" parameter,
# one with user, password and port (basic authentication, as Twilio's documents have it), and one with the port of an
# IPv6 address: Python False, Node true. Ordinary ones: both true.
# What to do: enter no such address, or compute the signature over the text as it was entered.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check twilio==9.13.0
npm install --silent --no-audit --no-fund --prefix . twilio@6.3.1
cat > seen.py <<'PYTHON'
import base64
import hashlib
import hmac
import json
import subprocess
import sys

from twilio.request_validator import RequestValidator

form = {"Body": "STOP", "From": "+12015550123"}
addresses = {  # as it was entered: without its port
    "https://example.com/sms": "https://example.com/sms",
    "https://example.com:8443/sms": "https://example.com/sms",
    "https://example.com/sms?": "https://example.com/sms?",
    "https://example.com/sms;?a=1": "https://example.com/sms;?a=1",
    "https://user:word@example.com:8443/sms": "https://user:word@example.com/sms",
    "https://[2001:db8::1]:8443/sms": "https://[2001:db8::1]/sms",
}


def signature(address: str) -> str:
    signed = address + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.new(b"token", signed.encode(), hashlib.sha1).digest()).decode()


cases = [[entered, signature(signed)] for entered, signed in addresses.items()]
python = [RequestValidator("token").validate(entered, form, given) for entered, given in cases]
script = """
const { validateRequest } = require("twilio");
const { cases, form } = JSON.parse(require("fs").readFileSync(0));
console.log(JSON.stringify(cases.map(([url, given]) => validateRequest("token", given, url, form))));
"""
asked = json.dumps({"cases": cases, "form": form})
node = json.loads(subprocess.run(["node", "-e", script], input=asked, text=True, check=True, capture_output=True).stdout)
for (entered, _), *seen in zip(cases, python, node):
    print(f"{entered}: Python {seen[0]}, Node {seen[1]}")
sys.exit((python, node) != ([True, True, False, False, False, False], [True] * 6))
PYTHON
venv/bin/python seen.py
