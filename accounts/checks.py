"""Checks for values in accounts as code. Each raises ValueError with the problem, never with a secret."""

from __future__ import annotations

import base64
import ipaddress
import re

from accounts.alerts import SEVERITIES
from accounts.secrets import REFERENCES, SEALED
from accounts.toml_table import nearest, quoted
from accounts.urls import check_web_address
from schemas.topics import parse_duration

KEEP = "***"
"""In place of a secret: keep the stored one."""

EVENTS = (
    "delivery", "unsubscribe", "reply", "sent", "click", "conversion", "removed", "restored",
    "endpoint.paused", "endpoint.recovered", "endpoint.expiring",
)  # fmt: skip

LEAST_SECRET = 8
"""Minimum characters of a secret that strangers can guess only by posting to ingest. Providers' own examples have 9."""

LEAST_SIGNING_SECRET = 16
"""Minimum characters of a signing secret: with one signed request, it can be guessed offline."""

CHOSEN_SECRETS = ("secret", "path_secret", "token")
"""Credentials for providers and networks that accounts choose themselves; others are issued to them."""

OPT_OUT_LAYERS = ("keywords", "misspellings", "phrases", "obfuscations", "complaints")
"""Layers of opt-out detection. Each can be switched off and extended."""

OPT_OUT_WORDS = (*OPT_OUT_LAYERS, "never")
"""Where an account can add words."""

MAX_SENDER = 200
"""Maximum characters of a sender that is not a number. RCS agents have the longest names."""

MAX_OPT_OUT_WORDS = 500
MAX_OPT_OUT_WORD = 100
"""Maximum words an account may add to a layer, and maximum characters of a word."""

CLASSES = ("delivered", "transient", "complaint", "invalid", "opt_out", "neutral")
"""Possible effects of a report on a contact."""

OPT_OUT_SCOPES = ("list", "account")

FORMATS = ("json", "cloudevents")

RESERVED_HEADERS = frozenset(
    {
        "accept-encoding", "connection", "expect", "host", "keep-alive", "proxy-authenticate", "proxy-authorization",
        "proxy-connection", "te", "trailer", "trailers", "transfer-encoding", "upgrade", "user-agent",
    }
)  # fmt: skip
"""Connection headers (RFC 9110 section 7.6.1) and those that trackly sets: an endpoint cannot override them."""

RESERVED_PREFIXES = ("content-", "webhook-", "x-trackly-")

RESERVED_IDS = (".", "..")
"""Path segments: a page for such an id could not be opened."""

MAX_EMAIL = 254
MOST_EMAILS = 10
"""Maximum characters of an email address, and maximum addresses of an endpoint."""

_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*[.])+[A-Za-z0-9-]*[A-Za-z0-9]")
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{3,6}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")  # RFC 9110 section 5.6.2
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_secret_url(value: str) -> None:
    if value == KEEP or value.startswith(("env:", "file:")):
        check_secret(value)
        return
    try:
        check_web_address(value)
    except ValueError:
        raise ValueError("is not a valid web address; write https://…, env:NAME or file:PATH") from None


def check_secret(value: str) -> None:
    if not value.strip():
        raise ValueError("is empty; write the secret, env:NAME or file:PATH")
    if value.startswith(SEALED):
        raise ValueError(f"is already encrypted; write the secret, or {KEEP} to keep the stored one")
    if value != KEEP and KEEP in value and not value.strip().strip("*"):
        raise ValueError(f"consists of stars; write the secret, or {KEEP} to keep the stored one")
    if value.startswith("env:") and not _VARIABLE.fullmatch(value.removeprefix("env:")):
        raise ValueError("names no environment variable; write env:NAME")
    if value == "file:":
        raise ValueError("names no file; write file:PATH")


def check_length(value: str, least: int) -> None:
    """Check that a literal secret is too long to guess. Raises ValueError."""
    if value != KEEP and not value.startswith(REFERENCES) and len(value.removeprefix("whsec_")) < least:
        raise ValueError(f"is too short: write {least} characters or more, for example with `openssl rand -hex 16`")


def check_token(value: str) -> None:
    """Check a secret for use in a URL. Raises ValueError."""
    check_secret(value)
    check_length(value, LEAST_SECRET)


def check_credential(name: str, value: str) -> None:
    """Check an account's credential with this name at a provider. Raises ValueError."""
    if name in CHOSEN_SECRETS:  # a secret being rotated out may be short
        check_token(value)
    elif name != "signature":
        check_secret(value)
    elif value not in (KEEP, "required"):
        raise ValueError("is not a known value; write required, or leave it out")


def check_endpoint_secret(value: str) -> None:
    """Check an endpoint's secret. Raises ValueError without the secret."""
    if not value.strip():
        raise ValueError("is empty; leave it out to have one generated")
    check_signing_secret(value)


def check_signing_secret(value: str) -> None:
    check_secret(value)
    if value.startswith("whsec_"):
        try:
            key = base64.b64decode(value.removeprefix("whsec_"), validate=True)
        except ValueError:
            key = b""
        if not key:
            raise ValueError("begins with whsec_, but the rest is not base64")
    check_length(value, LEAST_SIGNING_SECRET)


def check_duration(value: str) -> None:
    parse_duration(value)


def check_format(value: str) -> None:
    if value not in FORMATS:
        raise ValueError(f"{quoted(value)} is not a known format; {nearest(value, FORMATS)}")


def check_severity(value: str) -> None:
    if value not in SEVERITIES:
        raise ValueError(f"{quoted(value)} is not a known severity; {nearest(value, SEVERITIES)}")


def check_email(value: str) -> None:
    """Check an email address: plain ASCII, in RFC 5321's form without quotes. Raises ValueError."""
    if len(value) > MAX_EMAIL or not _EMAIL.fullmatch(value):
        raise ValueError(f"{quoted(value)} is not a valid email address; write it as ops@example.com")


def check_header_name(value: str) -> None:
    if not _TOKEN.fullmatch(value):
        raise ValueError("is not a valid header name")
    if value.lower() in RESERVED_HEADERS or value.lower().startswith(RESERVED_PREFIXES):
        raise ValueError("is set by trackly or by the connection; choose another name")


def check_header_value(value: str) -> None:
    check_secret(value)
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise ValueError("is not a valid header value: use ASCII without line breaks and without spaces around it")


def check_there(value: str) -> None:
    if not value.strip():
        raise ValueError("is empty")


def check_id(value: str) -> None:
    if not _ID.fullmatch(value) or value in RESERVED_IDS:
        raise ValueError(
            f"{quoted(value)} is not a valid ID: use 1 to 64 letters, digits, dots, underscores, or dashes"
        )


def check_number(value: str) -> None:
    if not _NUMBER.fullmatch(value):
        raise ValueError(f"{quoted(value)} is not a valid phone number; write it as +18005551234")


def check_sender(value: str) -> None:
    check_there(value)
    if len(value) > MAX_SENDER:
        raise ValueError(f"has {len(value)} characters; the maximum is {MAX_SENDER}")
    if _NUMBER.fullmatch(value):
        raise ValueError(f"{quoted(value)} is a number; write it under numbers")


def check_scope(value: str) -> None:
    if value not in OPT_OUT_SCOPES:
        raise ValueError(f"{quoted(value)} is not a known scope; {nearest(value, OPT_OUT_SCOPES)}")


def check_brake(value: str) -> None:
    if value != "off":
        raise ValueError(f'{quoted(value)} is not a valid brake; write "off", or {{ share = 0.1, minimum = 500 }}')


def check_network(value: str) -> None:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"{quoted(value)} is not a valid network; write it as 203.0.113.0/24") from None


def check_event(value: str) -> None:
    if value not in EVENTS:
        raise ValueError(f"{quoted(value)} is not a known event; {nearest(value, EVENTS)}")


def check_class(value: str) -> None:
    if value not in CLASSES:
        raise ValueError(f"{quoted(value)} is not a known class; {nearest(value, CLASSES)}")


def check_layer(value: str) -> None:
    if value not in OPT_OUT_LAYERS:
        raise ValueError(f"{quoted(value)} is not a known layer; {nearest(value, OPT_OUT_LAYERS)}")


def check_opt_out_word(value: str) -> None:
    if not any(map(str.isalnum, value)):
        raise ValueError(f"{quoted(value)} has no letter or digit, so it would never match")
    if len(value) > MAX_OPT_OUT_WORD:
        raise ValueError(f"has {len(value)} characters; the maximum is {MAX_OPT_OUT_WORD}")


def check_look_alike(value: str) -> None:
    if not re.fullmatch(r"[A-Za-z]=[^\sA-Za-z]{1,100}", value):
        raise ValueError(
            f"{quoted(value)} is not a list of look-alikes; write a letter and its substitutes, as in S=$5"
        )
