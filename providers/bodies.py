"""Bodies as providers send them: what they are written in, JSON values, form fields. XML is in `providers.xml`.

The charset that the content type declares decides; without one, or with one that is not known here, it is UTF-8.
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
"""Charsets that are read, by declared name -> codec. A name must not choose among all codecs that Python has."""

_charset = re.compile(r";\s*charset\s*=\s*[\"']?([A-Za-z0-9._:-]+)", re.I).search
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@lru_cache(maxsize=256)
def charset_of(content_type: str | None) -> str | None:
    """The codec of the charset that a content type declares; None where it declares none that is known here."""
    declared = _charset(content_type or "")
    return CHARSETS.get(declared[1].lower()) if declared else None


def utf8_body(source: Source) -> bytes:
    """The body in UTF-8, without a byte order mark. What another charset cannot mean is replaced."""
    charset = charset_of(source.content_type)
    body = source.body
    if charset not in (None, "utf-8"):
        body = body.decode(charset, "replace").encode("utf-8", "replace")
    return body.removeprefix(_BYTE_ORDER_MARK)


def is_xml(source: Source) -> bool:
    """Whether the body is XML. The body decides, its content type only where it does not show."""
    head, content_type = _head_and_type(source)
    return head == b"<" or (head not in (b"{", b"[") and "xml" in content_type)


def is_json(source: Source) -> bool:
    """Whether the body is JSON. The body decides, its content type only where it does not show."""
    head, content_type = _head_and_type(source)
    return head in (b"{", b"[") or (head != b"<" and "json" in content_type)


def json_value(source: Source) -> Any:
    """Value of a JSON body. Raises Unreadable("not_json")."""
    body = utf8_body(source)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # An emoji that was cut in two leaves half a surrogate pair, which orjson refuses, and with it a whole batch.
        # The standard library reads it; the half is replaced, and the siblings live.
        try:
            text = json.dumps(json.loads(body.decode()), ensure_ascii=False, allow_nan=False)
            return orjson.loads(text.encode("utf-8", "replace"))
        except (ValueError, RecursionError):
            raise Unreadable("not_json", f"the body is not JSON: {error}") from None


def json_object(source: Source) -> tuple[dict[str, Any], str]:
    """The object that a body is, and its text. Raises Unreadable("not_json"), or ("wrong_type") for other values."""
    value = json_value(source)
    if not isinstance(value, dict):
        raise Unreadable("wrong_type", "the body is not an object")
    return value, utf8_body(source).decode()


def json_text(value: Any) -> str:
    """JSON text of one item of a body. Raises Unreadable("not_json")."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # orjson reads 1024 levels but writes only 254.
        raise Unreadable("not_json", "the body is nested too deeply") from None


@dataclass(frozen=True, slots=True)
class Form:
    """Form fields as text and as pairs, in order, blank ones too."""

    raw: str
    pairs: list[tuple[str, str]]


def read_form(source: Source, errors: str = "replace") -> Form:
    """The form fields of a body, or of the query where there is no body or the method is GET.

    A secret of the URL is left out. What is not text in its charset is replaced, since an opt-out must not be lost
    for a letter of what follows it; with `errors="strict"` it raises UnicodeError.
    Raises Unreadable("too_many_fields").
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
    """Raises Unreadable("too_many_fields")."""
    if count > MAX_FIELDS:
        raise Unreadable("too_many_fields", f"there are more than {MAX_FIELDS:,} fields")


def _is_url_secret(name: str) -> bool:
    # Unquoting takes longer than all the rest, and names hardly ever need it.
    return (unquote_plus(name) if "%" in name else name).lower() == URL_SECRET


def _head_and_type(source: Source) -> tuple[bytes, str]:
    return utf8_body(source).lstrip()[:1], (source.content_type or "").lower()
