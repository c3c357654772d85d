"""Whatever an endpoint's settings contain, and whenever it is deleted, the sink continues."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from outbound.outcomes import answered
from sinks.webhooks.lane import Lane
from sinks.webhooks.patience import PATIENCE
from tests.unit.sinks.sink_parts import OK, delivered, endpoint, settled
from tests.unit.sinks.webhooks.test_webhook_sink import House, house  # noqa: F401 - a fixture

NOT_A_NUMBER = float("nan")


@pytest.mark.parametrize(
    "odd",
    [
        {"secret": "whsec_é"},
        {"secret": "whsec_===="},
        {"secret": "file:\0"},
        {"secret": "sealed:v1:nonsense"},
        {"secret_next": "file:/", "secret_next_at": -1},
        {"headers": {"X": "file:\0"}},
        {"headers": {"": "\r\n"}},
        {"url": "http://["},
        {"url": ""},
        {"rate_limit": 0.0},
        {"rate_limit": -1.0},
        {"rate_limit": NOT_A_NUMBER},
        {"batch_events": 0},
        {"batch_events": -5, "format": "nonsense"},
        {"retry_schedule": ("", "never")},
        {"lists": ("",), "events": ("delivery", "", "nonsense")},
    ],
    ids=str,
)
async def test_a_setting_that_makes_no_sense_costs_nobody_else_a_webhook(house: House, odd: dict[str, Any]) -> None:  # noqa: F811
    house.configure(endpoint("odd", **odd), endpoint("other"))
    await house.give(delivered("evt_1"), delivered("evt_2", to="+15550002222"))
    for _ in range(6):
        await house.clock.move(2.0)
        await house.receiver.answer_all(answered(500))
    assert house.crashes == []
    house.delete("acme/odd")
    before = len(house.receiver.requests)
    await house.give(delivered("evt_3", to="+15550003333"))
    assert len(house.receiver.requests) > before
    await house.receiver.answer_all(OK)
    assert house.ledger.durable == 3


@pytest.mark.parametrize("deleted", ["acme/crm", "acme/second"])
async def test_an_endpoint_may_be_deleted_while_a_lane_is_waited_for(
    house: House,  # noqa: F811
    deleted: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Lane, "is_full_for", lambda lane, delivery: lane.name == "acme/crm")
    monkeypatch.setattr(Lane, "worth_waiting", property(lambda lane: True))
    house.configure(endpoint("second"))
    await house.give(delivered("evt_1"))
    house.delete(deleted)
    await house.clock.move(PATIENCE)
    await settled()
    await house.receiver.answer_all(OK)
    assert house.crashes == []
    assert house.ledger.durable == 1
    await asyncio.sleep(0)
