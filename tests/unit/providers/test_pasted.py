"""Query strings of URLs that people pasted."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.lime import Lime
from providers.pasted import repaired
from schemas.records import InboundMessage
from tests.unit.providers.provider_callbacks import callback


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("account=acme?list_id=1&x=2", "account=acme&list_id=1&x=2"),
        ("a=1&SECRET=s?b=2", "a=1&SECRET=s&b=2"),
        ("token=t?b=2?c", "token=t&b=2?c"),
        ("account=acme&amp;b=2&AMP;c=3", "account=acme&b=2&c=3"),
        ("account=acme&text=what?&url=https://x.example/?a=1", "account=acme&text=what?&url=https://x.example/?a=1"),
        ("account=acme%3Fa=1", "account=acme%3Fa=1"),
        ("my_account=a?b", "my_account=a?b"),
        ("", ""),
    ],
)
def test_what_a_page_or_a_sender_added_is_read_as_it_is_meant(query: str, expected: str) -> None:
    assert repaired(query) == expected


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_a_query_that_is_encoded_stays(fields: dict[str, str]) -> None:
    query = urlencode(fields, quote_via=quote)
    assert repaired(query) == query


def test_a_response_whose_url_had_a_query_already_is_read() -> None:
    query = "account=acme?list_id=1221&mobile_number=15555550123&action=optout&keyword=PIZZA"
    (message,) = Lime().read(callback("lime", b"", method="GET", query=query))
    assert isinstance(message, InboundMessage)
    assert (message.kind, message.list_number, message.from_) == ("opt_out", "1221", "+15555550123")
