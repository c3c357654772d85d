"""A replay sends what a retry sends, to endpoints of every layout: the same bytes, the same content type."""

from __future__ import annotations

import pytest

from accounts.model import Accounts
from outbound.outcomes import answered
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.records import EndpointConfig, Record, WebhookTask
from sinks.replays.selection import Selection
from sinks.webhooks.delivery import Delivery, dead_record, deferred_record, from_task
from sinks.webhooks.fanout import fan_out
from sinks.webhooks.retry import Retry, TaskHeaders, Tier
from sinks.webhooks.window import Admission
from tests.unit.sinks.replays.test_selection import command
from tests.unit.sinks.sink_parts import START, delivered, endpoint, ledger

CODEC = Codec(FolderRegistry())
LAYOUTS = pytest.mark.parametrize(
    "config",
    [
        endpoint(),
        endpoint(batch_events=50),
        endpoint(format="cloudevents"),
        endpoint(format="cloudevents", batch_events=50),
    ],
    ids=["json", "json in arrays", "cloudevents", "cloudevents in arrays"],
)


def admission(size: int = 0, deliveries: int = 1) -> Admission:
    return Admission(ledger(), 0, size, deliveries)


def retried(config: EndpointConfig) -> Delivery:
    """The second attempt at an event."""
    accounts = Accounts()
    accounts.put(config)
    [delivery] = fan_out(delivered("evt_1"), accounts, admission)
    task, headers, _, _ = deferred_record(delivery, Retry(Tier("1m", 60_000), 2), START, 1)
    return from_task(stored(task), TaskHeaders.decode(headers), admission())


def stored(record: Record) -> WebhookTask:
    task = CODEC.decode(CODEC.encode(record))
    assert isinstance(task, WebhookTask)
    return task


def replayed(record: Record, config: EndpointConfig, outcome: str) -> Delivery:
    task = Selection(command(outcome=outcome), config).task_of(record)
    assert task is not None
    return from_task(stored(task), TaskHeaders(), admission())


@LAYOUTS
def test_an_event_is_sent_again_as_a_retry_sends_it(config: EndpointConfig) -> None:
    first, again = retried(config), replayed(delivered("evt_1"), config, "all")
    assert (again.event_id, again.content_type, again.body) == (first.event_id, first.content_type, first.body)


@LAYOUTS
def test_a_dead_letter_is_sent_again_as_it_was_whatever_the_endpoint_takes_today(config: EndpointConfig) -> None:
    last = retried(config)
    record, _ = dead_record(last, answered(500), START)
    again = replayed(CODEC.decode(CODEC.encode(record)), endpoint(), "dead")
    assert (again.event_id, again.content_type, again.body) == (last.event_id, last.content_type, last.body)
