"""Removes secrets from a request before it is stored."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote, unquote_plus

from providers import PROVIDERS
from providers.bodies import codec_of, is_utf_16
from providers.pasted import repaired
from providers.proof import basic_pair

PROOF_HEADERS = frozenset({"authorization", "proxy-authorization"}).union(
    *(provider.proof_headers for provider in PROVIDERS.values())
)
SECRET_HEADERS = PROOF_HEADERS | {"cookie"}
"""Headers that hold proof. Ingest checks them and never stores them."""

SECRET_PARAMETERS = frozenset({"secret", "token", "password", "key", "signature"})
"""Parameters whose values are replaced by stars."""

MOST_SECRETS = 8
"""Maximum parameters of a query that may be secrets. A URL has one or two, and each is looked for in every header."""

MAX_HEADER_BYTES = 64 << 10
"""Maximum bytes of headers stored with a callback; headers beyond that are dropped."""

LEAST_SECRET = 6
"""Minimum characters of a header's proof that is looked for in other headers."""

# One string of JSON, and the value if it is a name. Possessive, so that no string is read twice.
_json_pair = re.compile(r'("(?:[^"\\]|\\.)*+"?)(?:(\s*+:\s*+)("(?:[^"\\]|\\.)*+"?|[^\s,{}\[\]"]+)?)?', re.DOTALL)
_may_name_secret = re.compile("|".join(sorted(SECRET_PARAMETERS)) + r"|\\u", re.IGNORECASE).search
_end_of_part_head = re.compile(r"\r?\n\r?\n").search
_name_of_part = re.compile(r"\bname=\"?([^\";\r\n]+)", re.IGNORECASE).search
_UTF_8_MARK = "\u00ef\u00bb\u00bf"  # as Latin-1


def storable_path(provider: str, secret: str | None) -> str:
    """Return a callback's path with its secret starred out."""
    return f"/api/webhook-feedbacks/{provider}" + ("" if secret is None else "/***")


def storable_query(query: str) -> str:
    """Return the query string with secrets starred out."""
    return "&".join(map(_storable_parameter, query.split("&")))


def secret_parameters(parameters: Iterable[tuple[str, str]]) -> list[str]:
    """Return the values of the secret query parameters, in order."""
    return [value for name, value in parameters if _is_secret(name)]


def secrets_of_url(parameters: Iterable[tuple[str, str]], path_secret: str | None) -> list[str]:
    """Return the distinct secrets in a callback's URL, given its decoded parameters."""
    return [secret for secret in dict.fromkeys((path_secret, *secret_parameters(parameters))) if secret]


def storable_body(body: bytes, content_type: str | None = None) -> bytes:
    """Return a form, JSON, or multipart body with secrets starred out and every other byte unchanged. A form is
    repaired like a query."""
    codec = codec_of(body, content_type)
    if codec is None or not is_utf_16(codec):
        return _starred(body.decode("latin-1")).encode("latin-1")
    wide = "utf-16-be" if codec == "utf-16-be" else "utf-16-le"
    whole = len(body) & ~1
    return _starred(body[:whole].decode(wide, "surrogatepass")).encode(wide, "surrogatepass") + body[whole:]


def storable_headers(
    headers: Mapping[str, str], credentials: Mapping[str, str], url_secrets: Iterable[str] = ()
) -> dict[str, str]:
    """Return the headers without proof; `credentials` may name one more (`header_name`).

    A proxy may copy the URL or a header that proves something into another header (X-Original-URL, Referer,
    X-Forwarded-Authorization), so a header that contains a secret of either is dropped too.
    """
    own = credentials.get("header_name", "").lower()
    secrets = [*url_secrets, *_proofs(headers, own)]
    stored: dict[str, str] = {}
    room = MAX_HEADER_BYTES
    for name, value in headers.items():
        if name in SECRET_HEADERS or name == own or _holds(value, secrets):
            continue
        room -= len((name + value).encode())
        if room >= 0:
            stored[name] = value
    return stored


def _proofs(headers: Mapping[str, str], own: str) -> Iterator[str]:
    """Return the secrets in headers that prove something. Cookies prove nothing here."""
    for name in (*PROOF_HEADERS, own):
        value = headers.get(name, "")
        # Without a scheme; of Basic, also the password, which a URL may hold before its host.
        secrets = value.rpartition(" ")[2], (basic_pair(value) or "").partition(":")[2]
        yield from (secret for secret in secrets if len(secret) >= LEAST_SECRET)


def _holds(value: str, secrets: list[str]) -> bool:
    if not secrets:
        return False
    forms = {value}
    if "%" in value or "+" in value:
        once = unquote(value), unquote_plus(value)
        forms.update(once)
        if "%25" in value:  # a URL in a query of another
            forms |= {unquote(once[0]), unquote_plus(once[1])}
    return any(secret in written for written in forms for secret in secrets)


def _starred(text: str) -> str:
    """Star out secrets in a body. Its characters stand for its bytes."""
    mark = next((mark for mark in (_UTF_8_MARK, "\ufeff") if text.startswith(mark)), "")
    plain = text[len(mark) :]
    head = plain.lstrip()[:2]
    if head[:1] in ("{", "["):
        return mark + _storable_pairs(plain)
    if head == "--":
        return mark + _storable_parts(plain)
    return mark + _storable_pairs(storable_query(repaired(plain)))


def _storable_pairs(text: str) -> str:
    return _json_pair.sub(_storable_pair, text) if _may_name_secret(text) else text


def _storable_pair(found: re.Match[str]) -> str:
    name, colon, value = found.groups()
    return f'{name}{colon}"***"' if value is not None and _is_secret(_json_name(name)) else found[0]


def _json_name(written: str) -> str:
    try:
        return str(json.loads(written)) if "\\" in written else written[1:-1]
    except ValueError:
        return ""


def _storable_parts(multipart: str) -> str:
    parts = multipart.split("\n--")
    return "\n--".join(map(_storable_part, parts))


def _storable_part(part: str) -> str:
    end = _end_of_part_head(part)
    name = _name_of_part(part, 0, end.start()) if end else None
    return f"{part[: end.end()]}***\r" if end and name and _is_secret(name[1]) else part


def _storable_parameter(parameter: str) -> str:
    name = parameter.partition("=")[0]
    return f"{name}=***" if _is_secret(unquote_plus(name)) else parameter


def _is_secret(name: str) -> bool:
    return name.strip().lower() in SECRET_PARAMETERS
