"""Reading bodies as providers send them: charsets, JSON values, form fields. XML is in `providers.xml`.

The charset declared in the content type applies. If it is missing or unsupported, UTF-8 is assumed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import orjson

from providers.base import MAX_FIELDS, CallbackRequest, Unreadable
from providers.pasted import repaired
from providers.proof import URL_SECRET
from schemas.records import RawCallback

Source = RawCallback | CallbackRequest

CHARSETS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "iso-8859-1": "iso-8859-1",
    "latin1": "iso-8859-1",
    "iso-8859-15": "iso-8859-15",
    "windows-1250": "cp1250",
    "windows-1251": "cp1251",
    "windows-1252": "cp1252",
    "utf-16": "utf-16",
    "utf-16be": "utf-16-be",
    "utf-16le": "utf-16-le",
}
"""Supported charsets, by declared name -> codec. A sender must not be able to pick any codec that Python has."""

_charset = re.compile(r";\s*charset\s*=\s*[\"']?([A-Za-z0-9._:-]+)", re.I).search
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@lru_cache(maxsize=256)
def charset_of(content_type: str | None) -> str | None:
    """Return the codec for a content type's charset, or None if it declares no supported one."""
    declared = _charset(content_type or "")
    return CHARSETS.get(declared[1].lower()) if declared else None


def utf8_body(source: Source) -> bytes:
    """Return the body in UTF-8 without a byte order mark. Bytes that are invalid in its charset are replaced."""
    charset = charset_of(source.content_type)
    body = source.body
    if charset not in (None, "utf-8"):
        body = body.decode(charset, "replace").encode("utf-8", "replace")
    return body.removeprefix(_BYTE_ORDER_MARK)


def is_xml(source: Source) -> bool:
    """Whether the body is XML. The content type counts only where the body does not show it."""
    head, content_type = _head_and_type(source)
    return head == b"<" or (head not in (b"{", b"[") and "xml" in content_type)


def is_json(source: Source) -> bool:
    """Whether the body is JSON. The content type counts only where the body does not show it."""
    head, content_type = _head_and_type(source)
    return head in (b"{", b"[") or (head != b"<" and "json" in content_type)


def json_value(source: Source) -> Any:
    """Parse a JSON body. Raises Unreadable("not_json")."""
    body = utf8_body(source)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # An emoji cut in two leaves an unpaired surrogate, for which orjson would reject the whole batch. The standard
        # library accepts it; the surrogate is replaced, and the other items survive.
        try:
            text = json.dumps(json.loads(body.decode()), ensure_ascii=False, allow_nan=False)
            return orjson.loads(text.encode("utf-8", "replace"))
        except (ValueError, RecursionError):
            raise Unreadable("not_json", f"the body is not JSON: {error}") from None


def json_object(source: Source) -> tuple[dict[str, Any], str]:
    """Parse a body as a JSON object; returns the object and its text. Raises Unreadable("not_json", "wrong_type")."""
    value = json_value(source)
    if not isinstance(value, dict):
        raise Unreadable("wrong_type", "the body is not an object")
    return value, utf8_body(source).decode()


def json_text(value: Any) -> str:
    """Return the JSON text of one item. Raises Unreadable("not_json")."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # orjson reads 1024 levels but writes only 254.
        raise Unreadable("not_json", "the body is nested too deeply") from None


@dataclass(frozen=True, slots=True)
class Form:
    """Form fields as text and as pairs, in order, including blank ones."""

    raw: str
    pairs: list[tuple[str, str]]


def read_form(source: Source, errors: str = "replace") -> Form:
    """Return the form fields of a body, or of the query if there is no body or the method is GET.

    A secret in the URL is left out. Bytes invalid in the charset are replaced, because one bad letter must not cost an
    opt-out; with `errors="strict"` they raise UnicodeError. Raises Unreadable("too_many_fields").
    """
    in_query = source.method == "GET" or not source.body.strip()
    charset = None if in_query else charset_of(source.content_type)
    if in_query:
        form = repaired(source.query).encode(errors=errors).decode(errors=errors)
    else:
        form = source.body.removeprefix(_BYTE_ORDER_MARK).decode(charset or "utf-8", errors)
    check_fields(form.count("&") + 1)
    raw = "&".join(part for part in form.split("&") if not _is_url_secret(part.partition("=")[0]))
    return Form(raw, parse_qsl(raw, keep_blank_values=True, encoding=charset or "utf-8", errors=errors))


def check_fields(count: int) -> None:
    """Check the number of fields. Raises Unreadable("too_many_fields")."""
    if count > MAX_FIELDS:
        raise Unreadable("too_many_fields", f"there are more than {MAX_FIELDS:,} fields")


def _is_url_secret(name: str) -> bool:
    # Unquoting dominates the cost, and names hardly ever need it.
    return (unquote_plus(name) if "%" in name else name).lower() == URL_SECRET


def _head_and_type(source: Source) -> tuple[bytes, str]:
    return utf8_body(source).lstrip()[:1], (source.content_type or "").lower()
