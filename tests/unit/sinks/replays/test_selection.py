"""A replay sends what was ordered, and never another account's data."""

from __future__ import annotations

from typing import Any

import pytest

from outbound.bodies import body_of
from schemas.records import DeadWebhook, RawCallback, ReplayCommand, ReplyEvent
from sinks.replays.selection import Selection, topics_of
from tests.unit.sinks.sink_parts import delivered, endpoint

REPLY = ReplyEvent(
    event_id="evt_r",
    account="acme",
    provider="infobip",
    phone_number="+15550001111",
    list_number=None,
    body="hello",
    timestamp=0,
)


def command(**changes: Any) -> ReplayCommand:
    values: dict[str, Any] = {
        "replay_id": "rpl_1",
        "endpoint": "acme/crm",
        "outcome": "all",
        "from_at": 0,
        "to_at": 1,
        "issued_at": 1,
    }
    return ReplayCommand(**(values | changes))


def dead(name: str, event_id: str = "evt_1") -> DeadWebhook:
    return DeadWebhook(
        endpoint=name,
        event_id=event_id,
        event="delivery",
        body=b"as it was sent",
        attempts=6,
        last_status=500,
        error_class="http_status",
        first_attempt_at=0,
        died_at=0,
        origin="t/0/1",
        url="https://example.com/own",
        contact="+15550001111",
    )


def chosen(record: Any, config: dict[str, Any] | None = None, failed: Any = None, **changes: Any) -> bool:
    return Selection(command(**changes), endpoint(**(config or {})), failed).task_of(record) is not None


def test_what_is_sent_again_has_the_old_id_and_body() -> None:
    event = delivered("evt_1")
    task = Selection(command(), endpoint()).task_of(event)
    assert task is not None
    assert (task.endpoint, task.event_id, task.event, task.body) == ("acme/crm", "evt_1", "delivery", body_of(event))
    assert task.contact == "+15550001111"


def test_a_dead_webhook_is_sent_again_byte_for_byte() -> None:
    task = Selection(command(outcome="dead"), endpoint()).task_of(dead("acme/crm"))
    assert task is not None
    assert (task.body, task.url, task.contact) == (b"as it was sent", "https://example.com/own", "+15550001111")


@pytest.mark.parametrize(
    ("record", "changes"),
    [
        (delivered("evt_1", account="other"), {}),
        (delivered("evt_1", account="other"), {"event_ids": ("evt_1",)}),
        (delivered("evt_1", account="acme2"), {}),
        (dead("other/crm"), {"outcome": "dead"}),
        (dead("other/crm"), {"outcome": "dead", "event_ids": ("evt_1",)}),
        (dead("acme/crm2"), {"outcome": "dead"}),
    ],
)
def test_nothing_of_another_account_or_endpoint_is_sent(record: Any, changes: dict[str, Any]) -> None:
    assert not chosen(record, **changes)


@pytest.mark.parametrize(
    ("record", "wanted", "arguments"),
    [
        (delivered("evt_1"), True, {}),
        (REPLY, True, {}),
        (REPLY, False, {"events": ("delivery",)}),
        (REPLY, False, {"config": {"events": ("delivery",)}}),
        (delivered("evt_1"), True, {"event_ids": ("evt_1", "evt_2")}),
        (delivered("evt_3"), False, {"event_ids": ("evt_1", "evt_2")}),
        (delivered("evt_1"), True, {"config": {"lists": ("+18005551234",)}}),
        (delivered("evt_1"), False, {"config": {"lists": ("+18005550000",)}}),
        (REPLY, False, {"config": {"lists": ("+18005551234",)}}),
        (delivered("evt_1"), True, {"failed": {"evt_1"}}),
        (delivered("evt_2"), False, {"failed": {"evt_1"}}),
        (RawCallback("evt_1", "infobip", "acme", "POST", "/", "", {}, None, b"", "127.0.0.1", 0), False, {}),
    ],
)
def test_what_is_chosen(record: Any, wanted: bool, arguments: dict[str, Any]) -> None:
    assert chosen(record, **arguments) is wanted


@pytest.mark.parametrize(
    ("changes", "topics"),
    [
        ({}, ("delivery", "unsubscribe", "reply")),
        ({"events": ("reply",)}, ("reply",)),
        ({"outcome": "failed"}, ("delivery", "unsubscribe", "reply")),
        ({"outcome": "dead"}, ("webhooks_dead",)),
    ],
)
def test_only_topics_that_may_hold_it_are_read(changes: dict[str, Any], topics: tuple[str, ...]) -> None:
    assert set(topics_of(command(**changes), endpoint())) == set(topics)


@pytest.mark.parametrize(
    ("topic", "key", "may"),
    [
        ("delivery", b"acme:+15550001111", True),
        ("delivery", b"acme2:+15550001111", False),
        ("delivery", b"other:+15550001111", False),
        ("delivery", None, True),
        ("conversion", b"click-1", True),
        ("webhooks_dead", b"acme/crm", True),
        ("webhooks_dead", b"acme/crm2", False),
    ],
)
def test_records_of_others_are_known_by_their_key(topic: str, key: bytes | None, may: bool) -> None:
    assert Selection(command(), endpoint()).may_hold(topic, key) is may
