"""The formats of bodies: charsets, JSON, form fields."""

from __future__ import annotations

import pytest

from providers.base import Unreadable
from providers.bodies import Form, charset_of, is_json, is_xml, json_value, read_form
from tests.unit.providers.provider_callbacks import FORM, callback

LATIN = f"{FORM}; charset=ISO-8859-1"


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("text/xml; charset=utf-8", "utf-8"),
        ("text/xml;charset=UTF-8", "utf-8"),
        ('application/json; charset="iso-8859-1"', "iso-8859-1"),
        ("application/json; boundary=x; Charset = 'Windows-1252'", "cp1252"),
        ("text/plain; charset=us-ascii", "utf-8"),
        ("text/plain; charset=klingon", None),
        ("text/plain; charset=unicode_escape", None),
        ("text/plain; charset=", None),
        ("text/plain", None),
        ("", None),
        (None, None),
    ],
)
def test_a_charset_is_one_of_those_known(content_type: str | None, charset: str | None) -> None:
    assert charset_of(content_type) == charset


@pytest.mark.parametrize(
    ("body", "content_type", "shape"),
    [
        (b' \n{"a":1}', FORM, "json"),
        (b"[1]", "text/xml", "json"),
        (b"<a/>", "application/json", "xml"),
        (b"\xef\xbb\xbf<a/>", None, "xml"),
        ("{}".encode("utf-16-le"), "application/json; charset=utf-16le", "json"),
        (b"broken", "application/json", "json"),
        (b"broken", "text/xml", "xml"),
        (b"a=b", "text/plain", "form"),
        (b"", None, "form"),
    ],
)
def test_the_body_decides_what_it_is_and_its_type_where_it_does_not_show(
    body: bytes, content_type: str | None, shape: str
) -> None:
    raw = callback("cm", body, content_type=content_type)
    assert (is_json(raw), is_xml(raw)) == (shape == "json", shape == "xml")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ('{"a": "é"}'.encode(), "application/json"),
        ('{"a": "é"}'.encode("utf-8-sig"), None),
        ('{"a": "é"}'.encode("latin-1"), "application/json; charset=ISO-8859-1"),
        ('{"a": "é"}'.encode("utf-16"), "application/json; charset=utf-16"),
        ('{"a": "é"}'.encode("utf-16"), "application/json"),
        (b"\xfe\xff" + '{"a": "é"}'.encode("utf-16-be"), "application/json; charset=utf-8"),
        (b'{"a": "\\u00e9"}', "application/json; charset=us-ascii"),
    ],
)
def test_json_is_read_in_the_declared_charset(body: bytes, content_type: str | None) -> None:
    assert json_value(callback("cm", body, content_type=content_type)) == {"a": "é"}


def test_json_in_a_charset_that_nobody_declared_is_unreadable() -> None:
    with pytest.raises(Unreadable) as caught:
        json_value(callback("cm", '{"a": "é"}'.encode("latin-1"), content_type="application/json"))
    assert caught.value.reason == "not_json"


@pytest.mark.parametrize(
    ("body", "content_type", "value"),
    [
        (b"a=caf%C3%A9", FORM, "café"),
        ("a=café".encode(), FORM, "café"),
        (b"a=caf%E9", LATIN, "café"),
        (b"a=caf\xe9", LATIN, "café"),
        (b"a=caf%E9", FORM, "caf\ufffd"),
        (b"a=%80", f"{FORM}; charset=windows-1252", "€"),
        (b"a=caf%C3%A9", f"{FORM}; charset=klingon", "café"),
        ("a=café".encode("utf-8-sig"), LATIN, "café"),
        ("a=caf%C3%A9".encode("utf-16"), FORM, "café"),
        (b"a=", FORM, ""),
    ],
)
def test_a_form_is_read_in_the_declared_charset(body: bytes, content_type: str, value: str) -> None:
    assert read_form(callback("cm", body, content_type=content_type)).pairs == [("a", value)]


@pytest.mark.parametrize(
    ("method", "body", "query", "raw"),
    [
        ("GET", b"", "a=1", "a=1"),
        ("GET", b"a=2", "a=1", "a=1"),
        ("POST", b"", "a=1", "a=1"),
        ("POST", b"\r\n", "a=1", "a=1"),
        ("POST", b"a=2", "a=1", "a=2"),
        ("POST", b"a=2&SECRET=x&b=3", "", "a=2&b=3"),
        ("GET", b"", "a=1&secret=x&%73ecret=y", "a=1"),
    ],
)
def test_a_form_is_the_body_or_the_query_without_the_secret(method: str, body: bytes, query: str, raw: str) -> None:
    assert read_form(callback("cm", body, method=method, query=query)).raw == raw


def test_blank_values_and_repetitions_stay() -> None:
    assert read_form(callback("cm", b"a=&b&a=1")) == Form("a=&b&a=1", [("a", ""), ("b", ""), ("a", "1")])


def test_a_strict_reading_replaces_nothing() -> None:
    with pytest.raises(UnicodeError):
        read_form(callback("cm", b"a=caf%E9", content_type=FORM), errors="strict")
