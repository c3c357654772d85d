"""What Kafka keeps of an erased number, and until when."""

from __future__ import annotations

import pytest

from schemas.topics import Catalogue
from trackly.commands.erase.retained import CLEANED, DAY, Retained, retained

CATALOGUE = Catalogue(prefix="p.")
NOW = 1_795_000_000_000
KEPT = {each.topic: each for each in retained(CATALOGUE, NOW, {"p.sms.raw": DAY, "p.sms.contacts.places": DAY // 2})}


@pytest.mark.parametrize(
    ("topic", "holds", "days", "why"),
    [
        ("p.sms.raw", "query, headers, body", 7 + 1, "retention"),
        ("p.sms.receipts", "key, to, raw, user_id", 7 + 7, "retention"),
        ("p.sms.events.delivery", "key, to", 30 + 7, "retention"),
        ("p.sms.events.reply", "key, phone_number, body", 30 + 7, "retention"),
        ("p.sms.contacts.commands", "key, phone_number, other_name, record", 7 + 7, "retention"),
        ("p.sms.contacts", "key, contact, phone_number, known_as", 2 * (7 + 1) + 1, CLEANED),
        ("p.sms.contacts.places", "key, phone_number", 2 * (1 + 1) + 1, CLEANED),
        ("p.trackly-streams-contacts-changelog", "state of the contact", 2 * (7 + 1) + 1, CLEANED),
        ("p.trackly-streams-messages-changelog", "registered messages", 7 + 7, "retention"),
        ("p.sms.webhooks.dead", "body, contact", 30 + 7, "retention"),
    ],
)
def test_a_topic_keeps_a_number_until_its_segment_goes_or_is_compacted(
    topic: str, holds: str, days: int, why: str
) -> None:
    assert KEPT[topic] == Retained(topic, holds, NOW + days * DAY, why)


def test_topics_without_numbers_are_not_listed() -> None:
    assert not {name for name in KEPT if "config." in name or ".anon" in name}


def test_what_is_kept_longest_comes_first() -> None:
    until = [each.until for each in retained(CATALOGUE, NOW, {})]
    assert until == sorted(until, reverse=True)
