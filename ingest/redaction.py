"""What of a request is stored: everything but what proves it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote, unquote_plus

from providers import PROVIDERS

SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"}).union(
    *(provider.proof_headers for provider in PROVIDERS.values())
)
"""Headers that prove something; they are checked by ingest and never stored."""

SECRET_PARAMETERS = frozenset({"secret", "token", "password", "key", "signature"})
"""Parameters whose values are replaced by stars."""

MOST_SECRETS = 8
"""Parameters of a query that may be secrets. A URL has one, or two; each is looked for in every header."""

MAX_HEADER_BYTES = 64 << 10
"""Bytes of headers that are stored with a callback; those that are beyond it are left out."""

_json_secret = re.compile(
    rf'("(?:{"|".join(sorted(SECRET_PARAMETERS))})"\s*:\s*)("(?:[^"\\]|\\.)*"?|[^\s,{{}}\[\]"]+)',
    re.IGNORECASE | re.DOTALL,
)


def storable_path(provider: str, secret: str | None) -> str:
    """The path of a callback with stars in place of its secret."""
    return f"/api/webhook-feedbacks/{provider}" + ("" if secret is None else "/***")


def storable_query(query: str) -> str:
    """The query string with stars in place of secrets."""
    return "&".join(map(_storable_parameter, query.split("&")))


def secret_parameters(parameters: Iterable[tuple[str, str]]) -> list[str]:
    """The values of a query's parameters that are secrets, in order."""
    return [value for name, value in parameters if name.lower() in SECRET_PARAMETERS]


def secrets_of_url(parameters: Iterable[tuple[str, str]], path_secret: str | None) -> list[str]:
    """The secrets that stand in a callback's URL, given its parameters decoded, each once."""
    return [secret for secret in dict.fromkeys((path_secret, *secret_parameters(parameters))) if secret]


def storable_body(body: bytes) -> bytes:
    """The body of a form or of a JSON object with stars in place of secrets; every other byte as it is."""
    text = body.decode("latin-1")
    is_json = text.lstrip()[:1] in ("{", "[")
    return (_json_secret.sub(r'\1"***"', text) if is_json else storable_query(text)).encode("latin-1")


def storable_headers(
    headers: Mapping[str, str], credentials: Mapping[str, str], url_secrets: Iterable[str] = ()
) -> dict[str, str]:
    """The headers without those that prove something; `credentials` may name one more (`header_name`).

    A proxy may have written the URL into one of its own (X-Original-URL, Referer): what holds a secret of the URL
    is left out too.
    """
    own = credentials.get("header_name", "").lower()
    secrets = list(url_secrets)
    stored: dict[str, str] = {}
    room = MAX_HEADER_BYTES
    for name, value in headers.items():
        if name in SECRET_HEADERS or name == own or _holds(value, secrets):
            continue
        room -= len((name + value).encode())
        if room >= 0:
            stored[name] = value
    return stored


def _holds(value: str, secrets: list[str]) -> bool:
    if not secrets:
        return False
    forms = {value, unquote(value), unquote_plus(value)}
    return any(secret in written for written in forms for secret in secrets)


def _storable_parameter(parameter: str) -> str:
    name = parameter.partition("=")[0]
    return f"{name}=***" if unquote_plus(name).lower() in SECRET_PARAMETERS else parameter
