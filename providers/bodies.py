"""Reading bodies as providers send them: charsets, JSON values, form fields. XML is in `providers.xml`.

A byte order mark determines the charset, or else the content type does. Without a supported one, UTF-8 is assumed.
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
_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
MARK = "\ufeff"
"""The byte order mark as a character."""

_UTF_16 = ("utf-16", "utf-16-be", "utf-16-le")


@lru_cache(maxsize=256)
def charset_of(content_type: str | None) -> str | None:
    """Return the codec for a content type's charset, or None if it declares no supported one."""
    declared = _charset(content_type or "")
    return CHARSETS.get(declared[1].lower()) if declared else None


def codec_of(body: bytes, content_type: str | None) -> str | None:
    """Return the codec of a body by its byte order mark, or else by its content type; None if neither names one."""
    if body[:1] in (b"\xef", b"\xff", b"\xfe"):
        for mark, codec in _BYTE_ORDER_MARKS:
            if body.startswith(mark):
                return codec
    return charset_of(content_type)


def is_utf_16(codec: str | None) -> bool:
    """Whether this is a codec in which ASCII takes two bytes."""
    return codec in _UTF_16


def decoded_body(body: bytes, content_type: str | None, errors: str = "replace") -> tuple[str, str]:
    """Return the body as text without a byte order mark, and the codec of the percent-escapes in a form."""
    codec = codec_of(body, content_type) or "utf-8"
    return body.decode(codec, errors).removeprefix(MARK), "utf-8" if is_utf_16(codec) else codec


def utf8_body(source: Source) -> bytes:
    """Return the body in UTF-8 without a byte order mark. Bytes that are invalid in its charset are replaced."""
    codec = codec_of(source.body, source.content_type)
    if codec is None:
        return source.body
    if codec == "utf-8":
        return source.body.removeprefix(_BYTE_ORDER_MARKS[0][0])
    return source.body.decode(codec, "replace").removeprefix(MARK).encode("utf-8", "replace")


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
    charset = "utf-8"
    if source.method == "GET" or not source.body.strip():
        form = repaired(source.query).encode(errors=errors).decode(errors=errors)
    else:
        form, charset = decoded_body(source.body, source.content_type, errors)
    check_fields(form.count("&") + 1)
    raw = "&".join(part for part in form.split("&") if not _is_url_secret(part.partition("=")[0]))
    return Form(raw, parse_qsl(raw, keep_blank_values=True, encoding=charset, errors=errors))


def check_fields(count: int) -> None:
    """Check the number of fields. Raises Unreadable("too_many_fields")."""
    if count > MAX_FIELDS:
        raise Unreadable("too_many_fields", f"there are more than {MAX_FIELDS:,} fields")


def _is_url_secret(name: str) -> bool:
    # Unquoting dominates the cost, and names hardly ever need it.
    return (unquote_plus(name) if "%" in name else name).lower() == URL_SECRET


def _head_and_type(source: Source) -> tuple[bytes, str]:
    return utf8_body(source).lstrip()[:1], (source.content_type or "").lower()
