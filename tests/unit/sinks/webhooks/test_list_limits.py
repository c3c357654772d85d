"""List limits within an endpoint: one list's campaign does not crowd out the others."""

from __future__ import annotations

import pytest

from sinks.webhooks.delivery import Delivery
from sinks.webhooks.fanout import limited_list
from sinks.webhooks.list_limits import SAVED_SECONDS, ListLimits
from sinks.webhooks.window import Admission
from tests.unit.sinks.sink_parts import OK, delivered, endpoint, ledger
from tests.unit.sinks.webhooks.test_webhook_sink import LIST, OTHER_LIST, House, running

LIMITED = endpoint(list_rate_limits={LIST: 2.0})


def delivery(list_number: str | None = LIST) -> Delivery:
    return Delivery("acme/crm", "evt_1", "delivery", b"{}", None, Admission(ledger(), 0, 1, 1), list_number=list_number)


def passed(limits: ListLimits, seconds: float, each: Delivery) -> int:
    """Return how many of 100 per second pass."""
    return sum(not limits.refuses(each, step / 100) for step in range(round(seconds * 100)))


def test_a_list_gets_what_its_limit_says_and_ten_seconds_worth_at_once() -> None:
    assert passed(ListLimits(LIMITED, lambda: 1.0), 60, delivery()) == pytest.approx(2 * (60 + SAVED_SECONDS), abs=1)


def test_a_process_sends_its_share() -> None:
    assert passed(ListLimits(LIMITED, lambda: 0.5), 60, delivery()) == pytest.approx(60 + SAVED_SECONDS, abs=1)


@pytest.mark.parametrize("list_number", [OTHER_LIST, None])
def test_what_is_of_another_list_or_none_is_not_limited(list_number: str | None) -> None:
    assert passed(ListLimits(LIMITED, lambda: 1.0), 60, delivery(list_number)) == 6_000


def test_settings_that_change_do_not_fill_the_bucket_anew() -> None:
    limits = ListLimits(LIMITED, lambda: 1.0)
    assert passed(limits, 1, delivery()) < 100
    limits.configure(endpoint(list_rate_limits={LIST: 2.0}, description="new"))
    assert limits.refuses(delivery(), 0.99)


def test_a_limit_that_is_raised_applies_at_once() -> None:
    limits = ListLimits(endpoint(list_rate_limits={LIST: 0.001}), lambda: 1.0)
    assert passed(limits, 1, delivery()) == 1
    limits.configure(LIMITED)
    assert not limits.refuses(delivery(), 1.0)


def test_only_a_list_that_is_limited_is_noted() -> None:
    assert limited_list(delivered("evt_1"), LIMITED) == LIST
    assert limited_list(delivered("evt_1", list_number=OTHER_LIST), LIMITED) is None


async def test_what_is_beyond_a_list_s_limit_waits_without_an_attempt_and_the_other_list_goes_on() -> None:
    async with running(House(), list_rate_limits={LIST: 0.1}) as house:
        campaign = [delivered(f"evt_{n}", to=None, list_number=LIST) for n in range(3)]
        await house.give(*campaign, delivered("evt_other", to=None, list_number=OTHER_LIST))
        assert house.receiver.ids == ["evt_0", "evt_other"]
        await house.receiver.answer_all(OK)
        put_off = house.written("webhooks_retry.1m")
        assert [(task.event_id, task.list_number) for task in put_off] == [("evt_1", LIST), ("evt_2", LIST)]
        assert {headers.attempt for headers in house.headers_of("webhooks_retry.1m")} == {1}

        # When they come back they count against the same limit.
        await house.give(*put_off)
        assert house.receiver.open == []
        await house.clock.move(10)
        await house.give(put_off[0])
        assert [request.headers["webhook-id"] for request in house.receiver.open] == ["evt_1"]


async def test_only_its_own_list_s_backlog_makes_a_webhook_return_late() -> None:
    async with running(House(), list_rate_limits={LIST: 0.1, OTHER_LIST: 1.0}) as house:
        for number in range(60):
            await house.give(delivered(f"evt_{number}", to=f"+1555{number:07d}", list_number=LIST))
        for number in range(20):
            await house.give(delivered(f"other_{number}", to=f"+1666{number:07d}", list_number=OTHER_LIST))
        later = [task.event_id for task in house.written("webhooks_retry.5m")]
        assert "evt_59" in later
        assert not [event_id for event_id in later if event_id.startswith("other")]
        assert "other_19" in [task.event_id for task in house.written("webhooks_retry.1m")]
