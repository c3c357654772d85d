"""What of a request is stored: everything but what proves it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, unquote, unquote_plus

SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-twilio-signature", "x-signature"})
"""Headers that prove something; they are checked by ingest and never stored."""

SECRET_PARAMETERS = frozenset({"secret", "token", "password", "key", "signature"})
"""Parameters whose values are replaced by stars."""

_json_secret = re.compile(
    rf'("(?:{"|".join(sorted(SECRET_PARAMETERS))})"\s*:\s*)("(?:[^"\\]|\\.)*"?|[^\s,{{}}\[\]"]+)',
    re.IGNORECASE | re.DOTALL,
)


def storable_path(provider: str, parameters: Mapping[str, str]) -> str:
    """The path of a callback with stars in place of its secret."""
    return f"/api/webhook-feedbacks/{provider}" + ("/***" if "webhook_secret" in parameters else "")


def storable_query(query: str) -> str:
    """The query string with stars in place of secrets."""
    return "&".join(map(_storable_parameter, query.split("&")))


def secrets_of_url(query: str, path_secret: str | None) -> list[str]:
    """The secrets that stand in a callback's URL, decoded."""
    parameters = parse_qsl(query, keep_blank_values=True)
    found = [value for name, value in parameters if name.lower() in SECRET_PARAMETERS]
    return [secret for secret in (path_secret, *found) if secret]


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
    return {
        name: value
        for name, value in headers.items()
        if name not in SECRET_HEADERS and name != own and not _holds(value, secrets)
    }


def _holds(value: str, secrets: list[str]) -> bool:
    return any(secret in written for secret in secrets for written in (value, unquote(value), unquote_plus(value)))


def _storable_parameter(parameter: str) -> str:
    name = parameter.partition("=")[0]
    return f"{name}=***" if unquote_plus(name).lower() in SECRET_PARAMETERS else parameter
