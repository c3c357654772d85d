"""Well-formed callbacks in which extreme values replace some of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode
from xml.etree import ElementTree

import orjson
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.records import RawCallback

TIMES: list[Any] = [
    *("0001-01-01T00:00:00+1400", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z", "2099-01-01T00:00:00Z"),
    *("9999-12-31T23:59:59-1200", "9999-12-31T23:59:59.999999Z", "0001010000", "9912312359"),
    *(0, -1, 2**31, 2**53, 2**63 - 1, 2**64 - 1, -(2**63), "253402300799999", "253402300800000", "999999999999999"),
]
NUMBERS: list[Any] = [
    *(1e308, -1e308, 5e-324, 1e15, "1e999999999", "-1e-999999999", "1E+19", "0e-19", "NaN", "sNaN", "-Infinity"),
    *("9" * 5_000, "0." + "1" * 5_000, "1_000", "٣", "²", "-0", "+1", "0x10", "1" * 19, "00385911234567", "+" * 40),
]
TEXTS: list[Any] = [
    *("", " ", "\t\r\n", ":", "a:b:c", "/", "%", "%%s", "{", '"', "\\", "STOP", "stop all", "null", "\u202e", "\ufeff"),
    *(
        "x" * 70_000,
        "é" * 70_000,
        "\U0001f600" * 20_000,
        "a\u0301" * 40_000,
        "STOP " * 20_000,
        "https://x.example/" * 500,
    ),
]
CONTROLS: list[Any] = ["\x00", "\x00" * 300, "\x1f" * 30_000, "\x7f\x80", "\ufffe"]
OTHER: list[Any] = [None, True, False, [], {}, [[]], [None], {"": None}, [{"a": [{"b": "c" * 5_000}]}], ["x"] * 3_000]

plain = st.sampled_from(TIMES + NUMBERS + TEXTS)
in_forms = plain | st.sampled_from(CONTROLS)
in_json = in_forms | st.sampled_from(OTHER)


def extreme(raw: RawCallback) -> st.SearchStrategy[RawCallback]:
    """Return the callback with some of its values replaced."""
    head = raw.body.lstrip()[:1]
    if head in (b"{", b"["):
        value = orjson.loads(raw.body)
        places = list(_places(value))
        changes = st.dictionaries(st.sampled_from(range(len(places))), in_json, min_size=1, max_size=4)
        return changes.map(lambda chosen: replace(raw, body=orjson.dumps(_changed(value, places, chosen))))
    if head == b"<":
        return _of_pairs(raw, _elements(raw.body), plain, lambda values: _xml(raw.body, values), "body")
    in_query = raw.method == "GET" or not head
    pairs = parse_qsl(raw.query if in_query else raw.body.decode(), keep_blank_values=True)

    def form(values: list[str]) -> str:
        return urlencode([(name, value) for (name, _), value in zip(pairs, values, strict=True)])

    return _of_pairs(raw, [value for _, value in pairs], in_forms, form, "query" if in_query else "body")


def _of_pairs(
    raw: RawCallback, values: list[str], new: st.SearchStrategy[Any], build: Callable[[list[str]], str], field: str
) -> st.SearchStrategy[RawCallback]:
    def changed(chosen: dict[int, Any]) -> RawCallback:
        text = build([str(chosen.get(n, value)) for n, value in enumerate(values)])
        return replace(raw, query=text) if field == "query" else replace(raw, body=text.encode())

    return st.dictionaries(st.sampled_from(range(len(values))), new, min_size=1, max_size=4).map(changed)


def _elements(body: bytes) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(body).iter() if not len(each)]


def _xml(body: bytes, values: list[str]) -> str:
    root = ElementTree.fromstring(body)
    for element, value in zip((each for each in root.iter() if not len(each)), values, strict=True):
        element.text = value
    return ElementTree.tostring(root, encoding="unicode")


def _places(value: Any, path: tuple[Any, ...] = ()) -> Any:
    """Return the paths of all nested values, outer before inner."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*path, key)
        yield from _places(each, (*path, key))


def _changed(value: Any, places: list[tuple[Any, ...]], chosen: dict[int, Any]) -> Any:
    changed = orjson.loads(orjson.dumps(value))
    for number in sorted(chosen, reverse=True):  # inner before outer: an outer one that is replaced takes them with it
        *path, last = places[number]
        target = changed
        for key in path:
            target = target[key]
        target[last] = chosen[number]
    return changed
