"""What `trackly doctor` says before Kafka deletes what nobody has read."""

from __future__ import annotations

from typing import Any

import pytest

from bus.admin import TopicDescription
from bus.settings import BusSettings
from trackly.commands.doctor.findings import Finding
from trackly.commands.doctor.retention import Kept, Reader, Unread, near, span

SETTINGS = BusSettings()
DAY = 86_400_000
WEEK = Kept(7 * DAY, None)
MEGABYTE = Kept(None, 1_000_000)
STREAMS = Reader(SETTINGS.group("streams"), "streams", {})
SINKS = Reader(SETTINGS.group("sinks"), "sinks", {})


def found(*unread: Unread, topic: str = "inbound", kept: Kept = WEEK, reader: Reader = STREAMS) -> list[Finding]:
    name = SETTINGS.catalogue[topic].name
    return list(near(reader, (each._replace(topic=name) for each in unread), {name: kept}, SETTINGS))


def old(days: float, records: int = 10) -> Unread:
    return Unread("", records, int(days * DAY), None)


def large(size: int) -> Unread:
    return Unread("", 10, None, size)


@pytest.mark.parametrize(
    ("days", "level"), [(3.4, None), (3.6, "warning"), (5.2, "warning"), (5.3, "error"), (8.0, "error")]
)
def test_unread_replies_are_reported_after_half_of_the_time_that_kafka_keeps_them(
    days: float, level: str | None
) -> None:
    assert [each.level for each in found(old(days))] == ([] if level is None else [level])


def test_it_says_who_has_not_read_what_how_long_is_left_and_what_to_do() -> None:
    (finding,) = found(old(5.5), old(1, records=1_000))
    assert finding.text == (
        "1,010 records of sms.inbound wait for trackly-streams; the oldest is 5.5 days old, and Kafka deletes it in 1.5"
        " days at the earliest (retention.ms=604800000)"
    )
    assert "Start `trackly streams`" in finding.remedy
    assert "--topic sms.inbound --add-config retention.ms=1209600000" in finding.remedy
    assert "TRACKLY_TOPIC_SETTINGS=sms.inbound:retention.ms=1209600000" in finding.remedy


def test_what_is_kept_only_because_its_segment_is_still_open_may_go_at_any_moment() -> None:
    (finding,) = found(old(9))
    assert "Kafka deletes it at any moment" in finding.text


@pytest.mark.parametrize("unread", [Unread("", 5, None, None), Unread("", 5, None, 400_000)])
def test_young_and_small_backlogs_are_not_reported(unread: Unread) -> None:
    assert found(unread) == found(unread, kept=MEGABYTE) == []


@pytest.mark.parametrize(("size", "level"), [(500_000, None), (500_001, "warning"), (750_001, "error")])
def test_unread_records_are_reported_once_they_have_half_of_the_bytes_that_kafka_keeps(
    size: int, level: str | None
) -> None:
    assert [each.level for each in found(large(size), kept=MEGABYTE)] == ([] if level is None else [level])


def test_for_bytes_the_remedy_is_to_keep_more_bytes() -> None:
    (finding,) = found(large(600_000), kept=MEGABYTE)
    assert "about 600,000 of the 1,000,000 bytes" in finding.text
    assert "retention.bytes=2000000" in finding.remedy


def test_without_a_limit_nothing_is_reported() -> None:
    assert found(old(400), kept=Kept(None, None)) == []


@pytest.mark.parametrize(("topic", "reader"), [("clicks", STREAMS), ("receipts", SINKS), ("delivery", SINKS)])
def test_where_no_opt_out_can_be_lost_it_stays_a_warning(topic: str, reader: Reader) -> None:
    assert [each.level for each in found(old(6.9), topic=topic, reader=reader)] == ["warning"]


def test_the_time_that_webhooks_are_kept_is_not_to_be_changed() -> None:
    (finding,) = found(old(6), topic="webhooks_due", reader=SINKS)
    assert finding.remedy.startswith("Start `trackly sinks`")
    assert "retention.ms" not in finding.remedy


def description(policy: str, **settings: str) -> TopicDescription:
    known: dict[str, Any] = {"retention.ms": "1000", "retention.bytes": "-1", "cleanup.policy": policy}
    return TopicDescription("t", 1, 1, {**known, **{name.replace("_", "."): value for name, value in settings.items()}})


@pytest.mark.parametrize(
    ("topic", "kept"),
    [
        (description("delete"), Kept(1_000, None)),
        (description("delete", retention_ms="-1", retention_bytes="5"), Kept(None, 5)),
        (description("compact,delete"), Kept(1_000, None)),
        (description("compact"), Kept(None, None)),
    ],
)
def test_a_topics_settings_say_what_kafka_keeps(topic: TopicDescription, kept: Kept) -> None:
    assert Kept.of(topic) == kept


@pytest.mark.parametrize(
    ("millis", "text"), [(3 * DAY + DAY // 2, "3.5 days"), (7_200_000, "2.0 h"), (90_000, "1.5 min"), (500, "0.5 s")]
)
def test_times_are_told_in_their_largest_unit(millis: int, text: str) -> None:
    assert span(millis) == text
