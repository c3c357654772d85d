"""Laws that hold for every network in NETWORKS. A new network adds a line to EXAMPLES."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from providers import NETWORKS, PROVIDERS
from providers.base import Malformed, Unreadable
from providers.networks import DEFAULT_TYPE, TYPES
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.ids import derived_id
from schemas.records import Postback, RawCallback
from tests.examples import examples
from tests.unit.providers.provider_callbacks import callback

NAMES = sorted(NETWORKS)
CODEC = Codec(FolderRegistry())

EXAMPLES: Mapping[str, str] = {
    "everflow": "click_id=c-1&payout=2.50&transaction_id=0123456789abcdef&event_id=4&event_name=Purchase&currency=USD",
    "tune": "click_id=c-1&payout=2.50&conversion_id=102f8a7b6c&goal_id=4&goal_name=Purchase&currency=USD",
}
"""The query of a postback as the network's page tells to write it, filled, by network."""

names = st.sampled_from(["click_id", "payout", "payout_amount", "currency", "type", "event_name", "goal_id", "x"])
values = st.sampled_from(["c-1", "2.50", "$1,234.50", "{aff_sub}", "", "USD", "sale", "\ud800"]) | st.text(max_size=9)
pairs = st.lists(st.tuples(names, values), max_size=6)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9)
objects = st.dictionaries(names, scalars | st.lists(scalars, max_size=2), max_size=6)


def get(name: str, query: str) -> RawCallback:
    return callback(name, b"", method="GET", query=query)


def read(raw: RawCallback) -> list[Any]:
    return NETWORKS[raw.provider].read(raw)


def check(raw: RawCallback) -> None:
    """A postback that fits its schema, or a reason."""
    try:
        (item,) = read(raw)
    except Unreadable as error:
        item = Malformed(error.reason, str(error), "the whole body")
    if isinstance(item, Malformed):
        assert item.reason
        assert item.error
        assert item.item
        return
    assert CODEC.decode(CODEC.encode(item)) == item
    assert item.event_id == derived_id(raw.event_id, 0)
    assert item.click_id
    assert item.type in {DEFAULT_TYPE, *TYPES}


def test_every_network_has_an_example() -> None:
    assert sorted(EXAMPLES) == NAMES


def test_a_network_is_no_provider() -> None:
    assert not set(NETWORKS) & set(PROVIDERS)


@pytest.mark.parametrize("name", NAMES)
def test_a_network_is_found_by_its_name(name: str) -> None:
    assert NETWORKS[name].name == name


@pytest.mark.parametrize("name", NAMES)
def test_the_example_is_understood_whole(name: str) -> None:
    (item,) = read(get(name, EXAMPLES[name]))
    assert isinstance(item, Postback)
    assert (item.click_id, item.payout, item.currency, item.type, item.goal) == ("c-1", "2.50", "USD", "sale", "4")
    assert item.external_id
    assert len(item.parameters) == EXAMPLES[name].count("=")


@pytest.mark.parametrize("name", NAMES)
@given(body=st.binary(), content_type=st.none() | st.text(), method=st.sampled_from(["POST", "GET"]), query=st.text())
@settings(max_examples=examples(100))
def test_arbitrary_bytes_are_read_or_unreadable(
    name: str, body: bytes, content_type: str | None, method: str, query: str
) -> None:
    check(callback(name, body, content_type=content_type, method=method, query=query))


@pytest.mark.parametrize("name", NAMES)
@given(query=pairs, form=pairs)
@settings(max_examples=examples(100))
def test_whatever_is_read_of_a_form_fits_the_schema(
    name: str, query: list[tuple[str, str]], form: list[tuple[str, str]]
) -> None:
    check(callback(name, urlencode(form, errors="replace").encode(), query=urlencode(query, errors="replace")))


@pytest.mark.parametrize("name", NAMES)
@given(value=objects)
@settings(max_examples=examples(100))
def test_whatever_is_read_of_json_fits_the_schema(name: str, value: dict[str, Any]) -> None:
    try:
        body = orjson.dumps(value)
    except TypeError:
        return
    check(callback(name, body, content_type="application/json", query=""))


@pytest.mark.parametrize("name", NAMES)
def test_reading_again_gives_the_same(name: str) -> None:
    assert read(get(name, EXAMPLES[name])) == read(get(name, EXAMPLES[name]))
    (other,) = read(replace(get(name, EXAMPLES[name]), event_id="evt_other"))
    assert other.event_id == derived_id("evt_other", 0)


@pytest.mark.parametrize("name", NAMES)
def test_headers_path_and_proof_reach_no_postback(name: str) -> None:
    raw = get(name, EXAMPLES[name])
    marked = replace(raw, headers={"x-key": "s3cret"}, path="/s3cret", query=raw.query + "&token=s3cret")
    assert read(marked) == read(raw)
