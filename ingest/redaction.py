"""Removes secrets from a request before it is stored."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote, unquote_plus

from providers import PROVIDERS

SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"}).union(
    *(provider.proof_headers for provider in PROVIDERS.values())
)
"""Headers that hold proof. Ingest checks them and never stores them."""

SECRET_PARAMETERS = frozenset({"secret", "token", "password", "key", "signature"})
"""Parameters whose values are replaced by stars."""

MOST_SECRETS = 8
"""Maximum parameters of a query that may be secrets. A URL has one or two, and each is looked for in every header."""

MAX_HEADER_BYTES = 64 << 10
"""Maximum bytes of headers stored with a callback; headers beyond that are dropped."""

_json_secret = re.compile(
    rf'("(?:{"|".join(sorted(SECRET_PARAMETERS))})"\s*:\s*)("(?:[^"\\]|\\.)*"?|[^\s,{{}}\[\]"]+)',
    re.IGNORECASE | re.DOTALL,
)


def storable_path(provider: str, secret: str | None) -> str:
    """Return a callback's path with its secret starred out."""
    return f"/api/webhook-feedbacks/{provider}" + ("" if secret is None else "/***")


def storable_query(query: str) -> str:
    """Return the query string with secrets starred out."""
    return "&".join(map(_storable_parameter, query.split("&")))


def secret_parameters(parameters: Iterable[tuple[str, str]]) -> list[str]:
    """Return the values of the secret query parameters, in order."""
    return [value for name, value in parameters if name.lower() in SECRET_PARAMETERS]


def secrets_of_url(parameters: Iterable[tuple[str, str]], path_secret: str | None) -> list[str]:
    """Return the distinct secrets in a callback's URL, given its decoded parameters."""
    return [secret for secret in dict.fromkeys((path_secret, *secret_parameters(parameters))) if secret]


def storable_body(body: bytes) -> bytes:
    """Return a form or JSON body with secrets starred out and every other byte unchanged."""
    text = body.decode("latin-1")
    is_json = text.lstrip()[:1] in ("{", "[")
    return (_json_secret.sub(r'\1"***"', text) if is_json else storable_query(text)).encode("latin-1")


def storable_headers(
    headers: Mapping[str, str], credentials: Mapping[str, str], url_secrets: Iterable[str] = ()
) -> dict[str, str]:
    """Return the headers without proof; `credentials` may name one more (`header_name`).

    A proxy may copy the URL into a header (X-Original-URL, Referer), so a header that contains a secret of the URL is
    dropped too.
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
