"""Keeps the beginning of a receiver's answer, without our secrets and signatures. Pure functions."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import unquote

KEPT = 1_024
"""Bytes of an answer that are kept."""

LOOKED_AT = 4 * KEPT
"""Characters of an answer that are searched for secrets, because stars are shorter than secrets."""

STARS = "***"

LEAST_SECRET = 6
"""Minimum characters of a secret; stars in place of anything shorter would be useless."""

# A failing receiver may print the request that it was sent.
_SECRETS = re.compile(
    r"whsec_[A-Za-z0-9+/=_-]+"
    r"|sha256=[0-9a-fA-F]{16,}"
    r"|\bv1a?,[A-Za-z0-9+/=]{16,}"
    r"|(?i:\b(?:bearer|basic)\s+[A-Za-z0-9+/=._~-]{6,})"
)

# Escapes used in URLs, JSON, or HTML, also when doubly encoded: %2F, %252F, \u002f, \/, &#47;.
_ESCAPED = re.compile(
    r"%(?:25)*[0-9A-Fa-f]{2}"
    r"|\\+u[0-9A-Fa-f]{4}(?:\\+u[dD][c-fC-F][0-9A-Fa-f]{2})?"
    r"|\\+[\"'/]?"
    r"|&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[a-z]{2,4});"
)
_MAY_BE_ESCAPED = frozenset("%\\&")


def redacted_head(answer: str, secrets: Iterable[str] = ()) -> str:
    """Return the first KEPT bytes of an answer, without any spelling of `secrets`.

    It is truncated last: half a secret at the end could no longer be found.
    """
    answer = answer[:LOOKED_AT]
    known = frozenset(secret for secret in secrets if len(secret) >= LEAST_SECRET)
    if known:
        answer = _without(answer, known)
    return _SECRETS.sub(STARS, answer).encode()[:KEPT].decode("utf-8", "ignore").replace("\x00", "")


def without_query(url: str) -> str:
    """Return a URL for display: without query, fragment, user name, and password."""
    address = url.partition("?")[0].partition("#")[0]
    return re.sub(r"//[^/]*@", "//", address)


@lru_cache(1_000)
def secrets_in(url: str) -> frozenset[str]:
    """Return what `without_query` removes from a URL, as a receiver may repeat it: as a whole, and each value of the
    query."""
    address, _, query = url.partition("#")[0].partition("?")
    found = {query, *(part.partition("=")[2] or part for part in re.split("[&;]", query))}
    user = re.search(r"//([^/]*)@", address)
    if user is not None:
        name, _, password = unquote(user[1]).partition(":")
        found |= {user[1], password or name, base64.b64encode(f"{name}:{password}".encode()).decode()}
    return frozenset(text for text in found if len(text) >= LEAST_SECRET)


@lru_cache(1_000)
def secrets_in_header(value: str) -> frozenset[str]:
    """Return what a receiver may repeat of a header's value: the whole, what follows a scheme such as Bearer, and the
    pair and password of HTTP Basic."""
    scheme, _, token = value.strip().partition(" ")
    found = {value, token.strip()}
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(token).decode()
        except ValueError:
            pair = ""
        found |= {pair, pair.partition(":")[2]}
    return frozenset(text for text in found if len(text) >= LEAST_SECRET)


def _without(answer: str, secrets: frozenset[str]) -> str:
    data, ends = _plain(answer)
    spans = sorted(span for secret in secrets for form in _forms(secret) for span in _found(data, form))
    shown, at = [], 0
    for start, end in spans:
        first, last = ends[start - 1] if start else 0, ends[end - 1]
        if last > at:
            shown += [answer[at : max(at, first)], STARS if first >= at else ""]
            at = last
    return "".join(shown) + answer[at:] if spans else answer


@lru_cache(1_000)
def _forms(secret: str) -> frozenset[bytes]:
    """Return a secret unchanged and URL-decoded."""
    return frozenset(_plain(text)[0] for text in (secret, unquote(secret)))


def _found(data: bytes, form: bytes) -> Iterator[tuple[int, int]]:
    """Find a form, and its beginning at the end of the text."""
    at = data.find(form)
    while at >= 0:
        yield at, at + len(form)
        at = data.find(form, at + len(form))
    for size in range(min(len(form) - 1, len(data)), LEAST_SECRET - 1, -1):
        if data.endswith(form[:size]):
            yield len(data) - size, len(data)
            return


def _plain(text: str) -> tuple[bytes, list[int]]:
    """Return a text in UTF-8 with escapes resolved and plus signs as spaces, and for each byte its end in the text."""
    data, at = bytearray(), 0
    ends: list[int] = []
    for found in _ESCAPED.finditer(text) if not _MAY_BE_ESCAPED.isdisjoint(text) else ():
        _take(text, at, found.start(), data, ends)
        meant = _meant(found[0])
        data += meant
        ends += [found.end()] * len(meant)
        at = found.end()
    _take(text, at, len(text), data, ends)
    return bytes(data).replace(b"+", b" "), ends


def _take(text: str, start: int, end: int, data: bytearray, ends: list[int]) -> None:
    part = text[start:end]
    data += part.encode("utf-8", "surrogatepass")
    if part.isascii():
        ends += range(start + 1, end + 1)
    else:
        ends += [at + 1 for at in range(start, end) for _ in text[at].encode("utf-8", "surrogatepass")]


@lru_cache(1_000)
def _meant(escape: str) -> bytes:
    """Return the character that an escape stands for."""
    match escape[0], escape.lstrip("\\")[:1]:
        case "%", _:
            return bytes([int(escape[-2:], 16)])
        case "&", _:
            return html.unescape(escape).encode("utf-8", "surrogatepass")
        case _, "u":
            return bytes.fromhex(re.sub(r"\\+u", "", escape)).decode("utf-16-be", "replace").encode()
        case _, plain:
            return (plain or "\\").encode()
