"""The topic catalogue is the only place that names topics."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from schemas.records import RECORD_TYPES
from schemas.topics import Catalogue, Topic, parse_duration, parse_topic_settings
from sinks.webhooks.sink import TOPICS as WEBHOOK_INPUTS
from streams.app import CLICK_INPUTS, CONTACT_INPUTS
from tests.packages import PACKAGES

ROOT = Path(__file__).parents[3]
BY_RECIPIENT = (
    "receipts", "inbound", "messages", "clicks", "commands",
    "delivery", "sent", "reply", "unsubscribe", "click", "callbacks",
)  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "sms.raw", "sms.ingest.seen", "sms.rejected", "sms.comparisons", "sms.messages", "sms.receipts",
        "sms.inbound", "sms.clicks", "sms.links", "sms.postbacks",
        "sms.events.delivery", "sms.events.sent", "sms.events.reply", "sms.events.unsubscribe", "sms.events.click",
        "sms.events.conversion",
        "sms.events.delivery.anon", "sms.events.sent.anon", "sms.events.reply.anon", "sms.events.unsubscribe.anon",
        "sms.events.click.anon", "sms.events.conversion.anon",
        "sms.callbacks", "sms.contacts", "sms.contacts.commands", "sms.webhooks.due",
        "sms.webhooks.retry.1m", "sms.webhooks.retry.5m", "sms.webhooks.retry.15m", "sms.webhooks.retry.1h",
        "sms.webhooks.retry.2h", "sms.webhooks.dead", "sms.webhooks.attempts", "sms.webhooks.replays",
        "sms.alerts", "sms.alerts.told",
        "config.accounts", "config.lists", "config.endpoints", "config.keys", "sms.api.requests",
        "trackly.audit",
    ],
)  # fmt: skip
def test_the_catalogue_has_every_topic(name: str) -> None:
    topic = Catalogue().named(name)
    assert topic is not None
    assert topic.purpose.endswith(".")
    assert topic.written_by
    assert topic.read_by


@pytest.mark.parametrize("topic", Catalogue().values(), ids=lambda t: t.id)
def test_records_of_topics_exist(topic: Topic) -> None:
    assert topic.record is None or topic.record in RECORD_TYPES


@pytest.mark.parametrize("key", BY_RECIPIENT)
def test_topics_keyed_by_recipient_share_the_partition_count(key: str) -> None:
    assert Catalogue(partitions=7)[key].partitions == 7


def test_a_raw_callback_and_its_rejection_fit_their_topics() -> None:
    catalogue = Catalogue()
    assert catalogue["raw"].max_message_bytes > 4 << 20
    assert catalogue["rejected"].max_message_bytes > catalogue["raw"].max_message_bytes


@pytest.mark.parametrize("topic", Catalogue().values(), ids=lambda t: t.id)
def test_public_topics_are_compressed_as_every_client_reads(topic: Topic) -> None:
    assert topic.settings.get("compression.type") == ("gzip" if topic.public else None)


def test_a_deployment_may_compress_public_topics_otherwise() -> None:
    own = parse_topic_settings("sms.contacts:compression.type=zstd")
    assert Catalogue(own=own)["contacts"].settings["compression.type"] == "zstd"


def test_the_prefix_is_before_every_name() -> None:
    assert all(topic.name.startswith("dev.") for topic in Catalogue("dev.").values())


def test_a_topic_is_found_with_and_without_the_prefix() -> None:
    catalogue = Catalogue("dev.")
    assert catalogue.named("sms.raw") is catalogue.named("dev.sms.raw") is catalogue["raw"]


def test_delay_tiers_follow_the_schedule() -> None:
    tiers = Catalogue(schedule=("2s", "1s", "1m")).delay_tiers
    assert [(tier.name, tier.delay_ms) for tier in tiers] == [
        ("sms.webhooks.retry.1s", 1_000),
        ("sms.webhooks.retry.2s", 2_000),
        ("sms.webhooks.retry.1m", 60_000),
    ]


@pytest.mark.parametrize(
    ("name", "delay"),
    [("p.sms.webhooks.retry.15m", 900_000), ("p.sms.webhooks.retry.x", None), ("sms.webhooks.retry.15m", None)],
)
def test_a_delay_topic_of_an_earlier_schedule_is_known_by_its_name(name: str, delay: int | None) -> None:
    tier = Catalogue("p.", schedule=("1s",)).delay_tier_named(name)
    assert (tier.delay_ms if tier else None) == delay


def test_compacted_topics_are_kept_forever_unless_they_say_otherwise() -> None:
    catalogue = Catalogue()
    assert catalogue["contacts"].settings["cleanup.policy"] == "compact"
    assert catalogue["table_messages"].settings["cleanup.policy"] == "compact,delete"
    assert catalogue["raw"].settings["cleanup.policy"] == "delete"
    assert catalogue["raw"].settings["retention.ms"] == str(7 * 86_400_000)


@pytest.mark.parametrize(
    ("text", "millis"), [("250ms", 250), ("1s", 1_000), ("15m", 900_000), (" 2H ", 7_200_000), ("7d", 604_800_000)]
)
def test_durations(text: str, millis: int) -> None:
    assert parse_duration(text) == millis


@pytest.mark.parametrize(
    "text", ["", "5", "m", "-1s", "1.5h", "1w", "1m2s", "٣h", "36501d", "9" * 30 + "d", "9" * 31 + "ms"]
)
def test_what_is_no_duration_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse_duration(text)


def test_code_names_no_topic() -> None:
    literal = re.compile(r"""["'](sms|config)\.[a-z]""")
    named = [
        f"{path.relative_to(ROOT)}:{number}"
        for package in (*PACKAGES, "bench")
        for path in (ROOT / package).rglob("*.py")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if literal.search(line)
    ]
    assert not named


def test_what_waits_between_stages_is_kept_as_long_as_callbacks() -> None:
    """Streams may stand still for that long, and has moved past the callbacks of what waits."""
    catalogue = Catalogue()
    kept = catalogue["raw"].retention_ms
    between = (*CONTACT_INPUTS, *CLICK_INPUTS)
    assert kept is not None
    assert {topic: catalogue[topic].retention_ms for topic in between} == dict.fromkeys(between, kept)


def test_what_waits_for_sinks_is_kept_as_long_as_webhooks_that_wait_for_a_retry() -> None:
    catalogue = Catalogue()
    waiting = catalogue["webhooks_retry.1m"].retention_ms
    assert waiting is not None
    assert [topic for topic in WEBHOOK_INPUTS if (catalogue[topic].retention_ms or 0) < waiting] == []
