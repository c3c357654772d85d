"""Safe XML parsing: no document type and so no entities, bounded depth and size, known encodings only."""

from __future__ import annotations

from typing import Any, NoReturn
from xml.etree.ElementTree import Element, TreeBuilder, tostring
from xml.parsers import expat

from providers.base import Unreadable
from providers.bodies import CHARSETS, codec_of, utf8_body
from schemas.records import RawCallback

MAX_DEPTH = 8
"""Maximum levels of elements. CM's template has four, Infobip's reports have five."""

MAX_ELEMENTS = 200_000
"""Maximum elements of one body. 2,000 Infobip reports have about 50,000."""


def root_of(callback: RawCallback) -> Element:
    """Return the root element of an XML body. Raises Unreadable("not_xml").

    A byte order mark or the content type's charset overrides the one that the body declares (RFC 7303).
    """
    builder = TreeBuilder()
    depth = elements = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, elements
        depth, elements = depth + 1, elements + 1
        if depth > MAX_DEPTH:
            raise Unreadable("not_xml", f"the body has more than {MAX_DEPTH} levels of elements")
        if elements > MAX_ELEMENTS:
            raise Unreadable("not_xml", f"the body has more than {MAX_ELEMENTS} elements")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def declared(version: str, encoding: str | None, standalone: int) -> None:
        # The parser would accept any Python codec that a body names.
        if encoding is not None and encoding.lower() not in CHARSETS:
            raise Unreadable("not_xml", f"the encoding {encoding[:40]!r} is not supported")

    def refuse(*_: object) -> NoReturn:
        raise Unreadable("not_xml", "the body has a document type declaration, which is not supported")

    parser = expat.ParserCreate("utf-8" if codec_of(callback.body, callback.content_type) else None)
    parser.buffer_text = True
    parser.XmlDeclHandler = declared
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(utf8_body(callback), True)
        return builder.close()
    except (expat.ExpatError, ValueError) as error:
        raise Unreadable("not_xml", f"the body is not XML: {error}") from None


def value_of(element: Element) -> Any:
    """Return an element as its JSON counterpart: its text, or an object of its children, with repeated names as a list.

    A list may be an element around elements of its own name, as in Infobip's `<results><results>`.
    """
    if not len(element):
        return element.text or ""
    if all(child.tag == element.tag for child in element):
        return [value_of(child) for child in element]
    fields: dict[str, Any] = {}
    for child in element:
        value = value_of(child)
        known = fields.get(child.tag)
        if known is None:
            fields[child.tag] = value
        elif isinstance(known, list):
            known.append(value)
        else:
            fields[child.tag] = [known, value]
    return fields


def text_of(element: Element) -> str:
    """Return one element as XML text, without what follows it."""
    element.tail = None
    return tostring(element, encoding="unicode")
