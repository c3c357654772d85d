"""Safe XML parsing. The documents of CM and Infobip are tested with each of them."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers import xml
from providers.base import Unreadable
from tests.examples import examples
from tests.unit.providers.provider_callbacks import callback


def read(body: bytes, content_type: str | None = None) -> Element:
    return xml.root_of(callback("cm", body, content_type=content_type))


def refusal(body: bytes, content_type: str | None = None) -> str:
    with pytest.raises(Unreadable) as caught:
        read(body, content_type)
    assert caught.value.reason == "not_xml"
    return str(caught.value)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("<a>é</a>".encode(), None),
        ("<a>é</a>".encode(), "text/xml; charset=utf-8"),
        ("<a>é</a>".encode("utf-8-sig"), None),
        ("<a>é</a>".encode("latin-1"), "text/xml; charset=ISO-8859-1"),
        ('<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'.encode("latin-1"), "text/xml"),
        ('<?xml version="1.0" encoding="UTF-16"?><a>é</a>'.encode("utf-16"), "text/xml"),
        ('<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'.encode("utf-16"), "text/xml"),
        # A proxy that rewrites a body changes its header only.
        ('<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'.encode(), "text/xml; charset=UTF-8"),
        ('<?xml version="1.0" encoding="UTF-8"?><a>é</a>'.encode("cp1252"), "text/xml; charset=windows-1252"),
    ],
)
def test_the_charset_of_the_content_type_wins_over_the_declared_one(body: bytes, content_type: str | None) -> None:
    assert read(body, content_type).text == "é"


def test_depth_is_bounded() -> None:
    assert read(b"<a>" * xml.MAX_DEPTH + b"</a>" * xml.MAX_DEPTH).tag == "a"
    assert "levels" in refusal(b"<a>" * (xml.MAX_DEPTH + 1) + b"</a>" * (xml.MAX_DEPTH + 1))


def test_the_number_of_elements_is_bounded() -> None:
    assert len(read(b"<a>" + b"<b/>" * (xml.MAX_ELEMENTS - 1) + b"</a>")) == xml.MAX_ELEMENTS - 1
    assert "elements" in refusal(b"<a>" + b"<b/>" * xml.MAX_ELEMENTS + b"</a>")


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE a [<!ENTITY b "1">]><a>&b;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/hostname"><a/>',
        b'<?xml version="1.0" encoding="unicode_escape"?><a/>',
        b"<a>&b;</a>",
        b"<a",
        b"",
    ],
)
def test_what_is_not_plain_xml_is_refused(body: bytes) -> None:
    assert refusal(body)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<a/>", ""),
        ("<a> x </a>", " x "),
        ("<a><b>1</b><c/></a>", {"b": "1", "c": ""}),
        ("<a> <b>1</b> </a>", {"b": "1"}),
        ("<a><b>1</b><b>2</b><b>3</b></a>", {"b": ["1", "2", "3"]}),
        ("<a><b><c>1</c></b><b/></a>", {"b": [{"c": "1"}, ""]}),
        ("<a><![CDATA[1 < 2]]></a>", "1 < 2"),
        ("<a><a><b>1</b></a><a>2</a></a>", [{"b": "1"}, "2"]),
        ("<a><a>1</a></a>", ["1"]),
        ("<a><a>1</a><b>2</b></a>", {"a": "1", "b": "2"}),
    ],
)
def test_an_element_is_a_text_an_object_or_a_list(text: str, value: object) -> None:
    assert xml.value_of(read(text.encode())) == value


def test_the_text_of_an_element_is_without_what_follows() -> None:
    (child,) = read(b"<a><b x='1'>y</b> tail</a>")
    assert xml.text_of(child) == '<b x="1">y</b>'


@given(
    text=st.text(alphabet="<>/!?[]&;%\"'= abxml1\u00e9\x00", max_size=80), content_type=st.none() | st.text(max_size=30)
)
@settings(max_examples=examples(300))
def test_anything_is_an_element_or_refused(text: str, content_type: str | None) -> None:
    outcome: object
    try:
        root = read(("<" + text).encode(), content_type)
        outcome = (xml.text_of(root), xml.value_of(root))
    except Unreadable as error:
        outcome = error.reason
    assert outcome == "not_xml" or isinstance(outcome, tuple)
