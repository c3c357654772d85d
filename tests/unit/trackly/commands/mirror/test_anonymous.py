"""Events for those who must not see numbers."""

from __future__ import annotations

import re

import pytest

from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.pseudonyms import Pseudonyms
from schemas.records import RECORD_TYPES, DeliveryEvent, ReplyEvent
from schemas.samples import sample
from schemas.topics import Catalogue
from trackly.commands.mirror.anonymous import anonymous, recipient_of

PSEUDONYMS = Pseudonyms("a secret of the tests")
MIRRORS = [topic for topic in Catalogue().values() if topic.mirrors is not None]


@pytest.mark.parametrize("record", RECORD_TYPES)
def test_no_record_shows_a_recipient_s_number_afterwards(record: str) -> None:
    written = Codec(FolderRegistry()).encode(anonymous(sample(record), PSEUDONYMS))
    assert not re.search(rb"15551230001", written)


def test_a_number_becomes_its_pseudonym_and_the_rest_stays() -> None:
    event, found = sample("DeliveryEvent"), anonymous(sample("DeliveryEvent"), PSEUDONYMS)
    assert isinstance(event, DeliveryEvent)
    assert isinstance(found, DeliveryEvent)
    assert found.to == recipient_of(found) == PSEUDONYMS.of("acme", str(event.to))
    assert (found.event_id, found.message_id, found.status) == (event.event_id, event.message_id, event.status)
    assert found.list_number == event.list_number


def test_what_people_wrote_is_left_out() -> None:
    found = anonymous(sample("ReplyEvent"), PSEUDONYMS)
    assert isinstance(found, ReplyEvent)
    assert found.body == ""


@pytest.mark.parametrize("topic", MIRRORS, ids=lambda t: t.name)
def test_a_mirror_has_the_record_partitions_and_retention_of_its_topic(topic: object) -> None:
    source = Catalogue()[topic.mirrors]  # type: ignore[attr-defined]
    assert topic.name == f"{source.name}.anon"  # type: ignore[attr-defined]
    for same in ("record", "partitions", "retention_ms", "public"):
        assert getattr(topic, same) == getattr(source, same)
