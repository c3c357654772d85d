from __future__ import annotations

import time

import pytest

from bus.producer import partition_of
from bus.reading.topic import BEGINNING, END, Start
from bus.settings import BusSettings
from trackly.errors import Failed, TopicsMissing
from trackly.reading import find_topic, parse_start

SETTINGS = BusSettings(bootstrap_servers="localhost:1", topic_prefix="test.")
RAW, CONTACTS = SETTINGS.catalogue["raw"].name, SETTINGS.catalogue["contacts"].name


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("beginning", BEGINNING),
        ("end", END),
        ("0", Start(offset=0)),
        ("1200", Start(offset=1200)),
        ("2024-01-15T10:30:00Z", Start(millis=1_705_314_600_000)),
        ("2024-01-15T10:30:00.250", Start(millis=1_705_314_600_250)),
        ("2024-01-15T12:30:00+02:00", Start(millis=1_705_314_600_000)),
        ("2024-01-15", Start(millis=1_705_276_800_000)),
    ],
)
def test_a_start_is_a_word_an_offset_or_a_time(text: str, start: Start) -> None:
    assert parse_start(text) == start


@pytest.mark.parametrize("text", ["", "-1", "now", "1.5", "2024-13-01", "Beginning"])
def test_other_starts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a valid place to begin"):
        parse_start(text)


@pytest.mark.parametrize("name", [RAW, RAW.removeprefix("test.")])
def test_a_topic_is_found_with_and_without_its_prefix(name: str) -> None:
    assert find_topic(SETTINGS, name, ["other", RAW]) == RAW


def test_a_topic_of_the_catalogue_that_does_not_exist_has_to_be_created() -> None:
    with pytest.raises(TopicsMissing, match="run `trackly topics apply`"):
        find_topic(SETTINGS, RAW, ["other"])


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("sms.contact", "Did you mean sms.contacts?"),
        ("contacts", "Did you mean sms.contacts?"),
        ("weather", "`trackly topics list` shows all topics."),
    ],
)
def test_an_unknown_topic_gets_a_hint(name: str, hint: str) -> None:
    with pytest.raises(Failed) as caught:
        find_topic(SETTINGS, name, [RAW, CONTACTS])
    assert str(caught.value).endswith(hint)


# From Kafka's own UtilsTest.testMurmur2.
MURMUR2 = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536, b"abc": 479470107}


@pytest.mark.parametrize(("key", "murmur2"), MURMUR2.items())
def test_keys_have_the_partition_that_kafkas_own_clients_give_them(key: bytes, murmur2: int) -> None:
    assert partition_of(key, 1000) == (murmur2 & 0x7FFFFFFF) % 1000


def test_a_start_may_be_a_time_ago() -> None:
    start = parse_start("2h").millis
    assert start is not None
    assert 0 <= time.time() * 1000 - start - 7_200_000 < 60_000
