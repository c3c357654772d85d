"""The effect on the contact of each shape in which a provider reports an opt-out. docs/opt-outs.md shows the same."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from providers import PROVIDERS
from schemas.records import AccountConfig, InboundMessage, ListConfig, RawCallback, Receipt
from streams.optout import default_words
from streams.row import ContactRow
from tests.unit.providers.provider_callbacks import FORM, callback, twilio
from tests.unit.streams.contact_reports import report
from tests.unit.streams.contact_rules import apply_inbound
from tests.unit.streams.contact_stage import Stage

ROOT = Path(__file__).parents[3]
SHAPES = tomllib.loads((ROOT / "tests" / "data" / "opt_out_shapes.toml").read_text("utf-8"))["shape"]
LIST = "+18885550100"
EARLIER = 1_600_000_000_000


def posted(shape: Mapping[str, str]) -> RawCallback:
    provider = shape["provider"]
    if "query" in shape:
        return callback(provider, b"", method="GET", query=f"account=acme&{shape['query']}")
    if "form" in shape:
        return callback(provider, shape["form"].encode(), content_type=FORM)
    return callback(provider, shape["body"].encode(), content_type="application/json")


def after(shape: Mapping[str, str]) -> ContactRow:
    """Return the contact's row after the callback."""
    row = ContactRow(since=EARLIER)
    if before := shape.get("before"):
        row = ContactRow(since=EARLIER, active=False, reason=before, removed_at=EARLIER)
    for item in PROVIDERS[shape["provider"]].read(posted(shape)):
        if isinstance(item, Receipt) and item.to is not None:
            row = report(row, item, list_number=LIST).row
        elif isinstance(item, InboundMessage):
            row = apply_inbound(row, item, LIST, default_words()).row
    return row


def effect(row: ContactRow, before: str | None) -> str:
    """Return the effect on a contact, in the page's words."""
    if not row.active and before is None:
        return f"removed, `{row.reason}`"
    if row.active and before is not None:
        return f"back, where it was out for `{before}`"
    return "a failure is counted" if row.failures else "none"


@pytest.mark.parametrize(
    "shape", SHAPES, ids=[f"{each['provider']} {each['channel']} {each['shape']}" for each in SHAPES]
)
def test_a_shape_has_the_effect_that_the_page_says(shape: Mapping[str, str]) -> None:
    expected, _, _ = shape["effect"].partition(":")
    assert effect(after(shape), shape.get("before")) == expected


REMOVING = [shape for shape in SHAPES if shape["effect"].startswith("removed")]


@given(
    shape=st.sampled_from(REMOVING),
    subscriber=st.integers(2_000_000, 9_999_999),
    known=st.lists(st.sampled_from(["delivered", "failed", "hello", "START"]), max_size=3),
)
@settings(max_examples=150)
def test_whoever_says_it_in_whatever_shape_is_texted_no_more(
    shape: Mapping[str, str], subscriber: int, known: list[str]
) -> None:
    """Whatever was known about the person before, they are removed from the account's list."""
    national = f"212{subscriber}"
    written = {name: text.replace("5555550142", national) for name, text in shape.items()}
    stage = Stage(AccountConfig(id="acme", name="Acme"), ListConfig(account="acme", number=LIST))
    for at, word in enumerate(known, EARLIER):
        stage.apply(_earlier(word, f"+1{national}", at))
    stage.apply(*PROVIDERS[shape["provider"]].read(posted(written)))  # type: ignore[arg-type]
    assert not stage.state(f"+1{national}", LIST).active


def _earlier(word: str, number: str, at: int) -> Receipt | InboundMessage:
    if word in ("delivered", "failed"):
        form = {"MessageSid": f"SM{at}", "MessageStatus": word, "To": number, "From": LIST}
    else:
        form = {"MessageSid": f"SM{at}", "SmsStatus": "received", "From": number, "To": LIST, "Body": word}
    (item,) = PROVIDERS["twilio"].read(replace(twilio(form), event_id=f"evt_{at}", received_at=at))
    assert isinstance(item, Receipt | InboundMessage)
    return item


def test_the_page_shows_every_shape() -> None:
    page = (ROOT / "docs" / "opt-outs.md").read_text("utf-8")
    _, _, table = page.partition("| channel | provider | shape | the contact |")
    shown = [line for line in table.partition("\n\n")[0].splitlines()[2:] if line.startswith("|")]
    expected = [f"| {each['channel']} | {each['provider']} | {each['shape']} | {each['effect']} |" for each in SHAPES]
    assert shown == expected, "docs/opt-outs.md must show:\n" + "\n".join(expected)
