"""Partition counts that keep everything about one recipient together, or a reason not to start."""

from __future__ import annotations

import pytest

from bus.layout import Identity, LayoutError, check_partitions, check_stored
from schemas.topics import Catalogue

CATALOGUE = Catalogue(partitions=12)


def topics(partitions: int = 12, **others: int) -> dict[str, Identity]:
    """Return all topics with their partition counts; those given by short name differ."""
    counts = {t.name: partitions if t.shares_partitions else t.partitions for t in CATALOGUE.values()}
    counts |= {CATALOGUE[key].name: count for key, count in others.items()}
    return {name: Identity(f"id of {name}", count) for name, count in counts.items()}


@pytest.mark.parametrize(
    "found", [topics(), topics(raw=24), {}, {"sms.receipts": Identity("x", 12)}], ids=["all", "raw", "none", "one"]
)
def test_topics_that_are_as_they_must_be_pass(found: dict[str, Identity]) -> None:
    check_partitions(CATALOGUE, found)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (topics(inbound=24), "sms.inbound has 24"),
        (topics(inbound=24, receipts=24), "sms.receipts has 24, sms.inbound has 24"),
        (topics(table_contacts=6), "trackly-streams-contacts-changelog has 6"),
        (topics(webhooks_due=24), "sms.webhooks.due has 24"),
        (topics(24, inbound=12), "has 24, .* and .* more differ"),
        (topics(24), "have 24 partitions, but TRACKLY_PARTITIONS is 12"),
    ],
)
def test_topics_with_different_counts_are_refused_with_the_remedy(found: dict[str, Identity], says: str) -> None:
    with pytest.raises(LayoutError, match=says) as refused:
        check_partitions(CATALOGUE, found)
    assert "trackly topics grow" in str(refused.value)


def test_a_topic_that_was_raised_since_its_offsets_were_stored_is_refused() -> None:
    with pytest.raises(LayoutError, match=r"sms.inbound had 12 partitions .* 24 now"):
        check_stored({"sms.inbound": Identity("a", 12)}, {"sms.inbound": Identity("a", 24)})


@pytest.mark.parametrize("now", [{}, {"sms.inbound": Identity("a", 12)}, {"sms.inbound": Identity("b", 24)}])
def test_a_topic_that_is_as_it_was_or_another_passes(now: dict[str, Identity]) -> None:
    check_stored({"sms.inbound": Identity("a", 12)}, now)


@pytest.mark.parametrize("identity", [Identity("gxQ/x+1", 12), Identity("a", 1)])
def test_an_identity_reads_as_it_was_written(identity: Identity) -> None:
    assert Identity.parsed(str(identity)) == identity


@pytest.mark.parametrize("text", ["", "a", "/12", "a/", "a/b", "a/-1"])
def test_other_notes_are_no_identity(text: str) -> None:
    assert Identity.parsed(text) is None
