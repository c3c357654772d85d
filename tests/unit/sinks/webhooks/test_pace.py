from __future__ import annotations

import json
from collections import deque
from typing import Any

import pytest

from outbound.formats import CLOUDEVENTS
from sinks.webhooks.delivery import Delivery
from sinks.webhooks.pace import BATCH_BYTES, BATCH_SECONDS, Pace
from sinks.webhooks.window import Admission
from tests.unit.sinks.sink_parts import endpoint, ledger


def pace(share: float = 1.0, **config: Any) -> Pace:
    return Pace(endpoint(**config), lambda: share)


def loose(number: int, queued_at: float = 0.0, **changes: Any) -> Delivery:
    values: dict[str, Any] = {"loose": True, "queued_at": queued_at, "body": b"%d" % number} | changes
    body = values.pop("body")
    return Delivery("acme/crm", f"evt_{number}", "delivery", body, None, Admission(ledger(), number, 1, 1), **values)


def test_a_process_sends_its_share_of_the_limit() -> None:
    assert pace(share=0.25, rate_limit=8.0).rate == 2.0
    assert pace(rate_limit=None).rate is None


def test_a_queue_is_as_short_as_the_limit_is_low() -> None:
    limited = pace(rate_limit=2.0)
    assert limited.seconds_each(0.02, 16) == 8.0
    assert limited.limits(0.02, 16)
    assert not pace(rate_limit=10_000.0).limits(0.02, 16)


def test_a_batch_waits_until_it_is_full_or_a_second_has_passed() -> None:
    batches = pace(batch_events=3)
    ready = deque([loose(1, queued_at=10.0), loose(2, queued_at=10.5)])
    assert batches.wait(ready, 10.6) == pytest.approx(BATCH_SECONDS - 0.6)
    assert batches.wait(ready, 11.0) == 0
    ready.append(loose(3, queued_at=10.6))
    assert batches.wait(ready, 10.6) == 0


def test_a_batch_holds_events_in_their_order_and_no_more_than_it_may() -> None:
    batches = pace(batch_events=2)
    ready = deque([loose(1), loose(2), loose(3)])
    batch = batches.take(ready)
    assert (batch.body, batch.event, batch.loose) == (b"[1,2]", "batch", False)
    assert [part.event_id for part in batch.parts] == ["evt_1", "evt_2"]
    alone = batches.take(ready)
    assert (alone.body, alone.event_id, alone.event) == (b"[3]", "evt_3", "delivery")


def test_the_same_events_make_the_same_batch_id_and_others_another() -> None:
    batches = pace(batch_events=2)
    ids = [batches.take(deque([loose(a), loose(b)])).event_id for a, b in [(1, 2), (1, 2), (2, 1)]]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    "second", [loose(2, loose=False), loose(2, content_type=CLOUDEVENTS)], ids=["a retry", "another layout"]
)
def test_what_does_not_fit_goes_alone(second: Delivery) -> None:
    ready = deque([loose(1), second])
    assert json.loads(pace(batch_events=10).take(ready).body) == [1]
    assert list(ready) == [second]


def test_a_retry_goes_as_it_is() -> None:
    retry = loose(1, loose=False, body=b"as before")
    assert pace(batch_events=10).take(deque([retry, loose(2)])) is retry
    assert retry.body == b"as before"


def test_a_batch_is_bounded_in_bytes() -> None:
    ready = deque(loose(number, body=b"x" * (BATCH_BYTES // 2)) for number in range(5))
    assert len(pace(batch_events=100).take(ready).parts) == 2
