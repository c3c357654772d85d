from __future__ import annotations

import pytest
from aiokafka.errors import KafkaTimeoutError
from msgspec.structs import replace

from accounts.model import Accounts
from outbound.outcomes import Outcome, answered
from schemas.records import EndpointAlert, EndpointConfig, EndpointPause
from sinks.webhooks.parking import DAY_MS
from sinks.webhooks.pausing import CLOSE_AGAIN_SECONDS, PauseRule, Pauses
from tests.clock import START, MovedClock, settled
from tests.unit.sinks.sink_parts import endpoint

TIMEOUT = Outcome(error_class="timeout")
CRM = "acme/crm"


class House:
    """Pauses with their whole environment."""

    def __init__(self) -> None:
        self.clock = MovedClock()
        self.accounts = Accounts()
        self.accounts.put(endpoint())
        self.told: list[EndpointAlert] = []
        self.written: list[EndpointConfig] = []
        self.order: list[str] = []
        self.owner = True
        self.answers_elsewhere = False
        self.broken = False
        self.pauses = Pauses(
            PauseRule(failures=100, seconds=600.0),
            self.accounts,
            self.clock,
            owns=lambda endpoint: self.owner,
            answered_since=self.answered_since,
            write=self.write,
            tell=self.tell,
        )

    async def answered_since(self, endpoint: str, since: int) -> bool:
        return self.answers_elsewhere

    async def write(self, pause: EndpointPause) -> None:
        self.order.append("pause")
        self.accounts.put(pause)
        self.written.append(self.accounts.endpoints[CRM])
        self.pauses.on_change(CRM, self.accounts.endpoints[CRM])

    async def tell(self, alert: EndpointAlert) -> None:
        if self.broken:
            raise KafkaTimeoutError
        self.order.append("alert")
        self.told.append(alert)

    def put(self, config: EndpointConfig) -> None:
        self.accounts.put(config)
        self.pauses.on_change(CRM, config)

    async def fail(self, times: int, outcome: Outcome = TIMEOUT) -> None:
        for _ in range(times):
            self.pauses.failed(CRM, outcome)
        await settled()

    async def fail_for_long(self) -> None:
        await self.fail(99)
        await self.clock.move(600)
        await self.fail(1)


async def test_an_endpoint_that_fails_often_and_for_long_is_paused_and_its_owner_told() -> None:
    house = House()
    await house.fail_for_long()
    assert house.written == [endpoint(enabled=False, paused_reason="failing", paused_at=START + 600_000)]
    [alert] = house.told
    assert (alert.event, alert.account, alert.endpoint, alert.reason) == ("endpoint.paused", "acme", "crm", "failing")
    assert (alert.error, alert.failures, alert.since, alert.timestamp) == ("timeout", 100, START, START + 600_000)
    assert house.order == ["alert", "pause"]


@pytest.mark.parametrize(("failures", "seconds"), [(99, 6_000), (1_000, 599)])
async def test_it_takes_both_the_number_and_the_time(failures: int, seconds: float) -> None:
    house = House()
    await house.fail(failures - 1)
    await house.clock.move(seconds)
    await house.fail(1)
    assert house.written == []


async def test_one_answer_begins_the_count_anew() -> None:
    house = House()
    await house.fail(99)
    await house.clock.move(600)
    house.pauses.succeeded(CRM)
    await house.fail(99)
    assert house.written == []


async def test_only_the_owner_of_the_due_partition_decides() -> None:
    house = House()
    house.owner = False
    await house.fail_for_long()
    assert house.written == []


async def test_an_endpoint_that_answers_another_process_is_not_paused() -> None:
    house = House()
    house.answers_elsewhere = True
    await house.fail_for_long()
    assert (house.written, house.told) == ([], [])


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (answered(410), "gone"),
        (answered(410, asked=("disable",)), "gone"),
        (answered(200, asked=("disable",)), "receiver"),
        (answered(500, asked=("disable", "abort-message")), "receiver"),
    ],
)
async def test_a_receiver_that_wants_no_more_is_paused_at_once_whoever_hears_it(outcome: Outcome, reason: str) -> None:
    house = House()
    house.owner = False
    house.pauses.closed(CRM, outcome)
    await settled()
    [config] = house.written
    assert (config.enabled, config.paused_reason) == (False, reason)
    assert house.told[0].error == str(outcome.status)


async def test_an_answer_that_comes_beside_the_wish_for_no_more_does_not_undo_it() -> None:
    house = House()
    house.pauses.failed(CRM, answered(410))
    house.pauses.closed(CRM, answered(410))
    house.pauses.succeeded(CRM)
    await settled()
    assert [config.paused_reason for config in house.written] == ["gone"]


async def test_a_wish_for_no_more_that_kafka_does_not_take_is_written_later() -> None:
    house = House()
    house.broken = True
    house.pauses.closed(CRM, answered(410))
    await settled()
    house.broken = False
    await house.clock.move(CLOSE_AGAIN_SECONDS)
    assert [config.paused_reason for config in house.written] == ["gone"]


async def test_settings_that_change_before_the_pause_is_written_end_the_wish() -> None:
    house = House()
    house.broken = True
    house.pauses.closed(CRM, answered(410))
    await settled()
    house.put(endpoint(url="https://new.example.com/hook"))
    house.broken = False
    await house.clock.move(CLOSE_AGAIN_SECONDS)
    assert house.written == []


async def test_webhooks_that_are_aborted_are_no_failures_of_the_endpoint() -> None:
    house = House()
    await house.fail(99, answered(500, asked=("abort-message",)))
    await house.clock.move(600)
    await house.fail(1, answered(500, asked=("abort-message",)))
    assert house.written == []


async def test_many_failures_make_one_pause() -> None:
    house = House()
    await house.fail_for_long()
    await house.fail(500)
    assert (len(house.written), len(house.told)) == (1, 1)


async def test_a_pause_that_cannot_be_written_is_tried_again() -> None:
    house = House()
    house.broken = True
    await house.fail_for_long()
    assert house.written == []
    house.broken = False
    await house.fail(1)
    assert len(house.written) == 1


async def test_callbacks_are_never_paused() -> None:
    house = House()
    house.pauses.failed("acme/~a.example", answered(410))
    house.pauses.closed("acme/~a.example", answered(410))
    await settled()
    assert (house.written, house.told) == ([], [])


async def test_the_first_answer_after_a_pause_is_told_once() -> None:
    house = House()
    await house.fail_for_long()
    house.put(replace(house.written[0], enabled=True, paused_reason=None, paused_at=None))
    house.pauses.succeeded(CRM)
    house.pauses.succeeded(CRM)
    await settled()
    assert [alert.event for alert in house.told] == ["endpoint.paused", "endpoint.recovered"]
    recovered = house.told[1]
    assert (recovered.reason, recovered.since) == ("failing", START + 600_000)


async def test_after_a_pause_the_count_begins_anew() -> None:
    house = House()
    await house.fail_for_long()
    house.put(endpoint())
    await house.fail(1)
    assert len(house.written) == 1


async def test_an_endpoint_that_an_operator_disabled_recovers_silently() -> None:
    house = House()
    house.put(endpoint(enabled=False))
    house.put(endpoint())
    house.pauses.succeeded(CRM)
    await settled()
    assert house.told == []


async def test_webhooks_that_expire_are_told_of_once_a_day_under_one_id() -> None:
    house = House()
    house.put(endpoint(enabled=False))
    for _ in range(3):
        house.pauses.expiring(CRM, START - 6 * DAY_MS)
        await settled()
    await house.clock.move(86_400)
    house.pauses.expiring(CRM, START - 6 * DAY_MS)
    await settled()
    assert [alert.event for alert in house.told] == ["endpoint.expiring"] * 2
    assert {alert.since for alert in house.told} == {START - 6 * DAY_MS}
    assert len({alert.event_id for alert in house.told}) == 2


async def test_settings_that_change_while_the_owner_is_told_keep_their_url_and_secret_and_stay_unpaused() -> None:
    house = House()
    new = endpoint(url="https://new.example.com/hook", secret="whsec_bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3")
    told = house.pauses._tell

    async def tell(alert: EndpointAlert) -> None:
        await told(alert)
        house.put(new)

    house.pauses._tell = tell
    await house.fail_for_long()
    assert house.accounts.endpoints[CRM] == new


async def test_settings_that_change_while_the_attempts_are_looked_up_are_not_judged_by_what_failed_before() -> None:
    house = House()

    async def answered_since(endpoint_id: str, since: int) -> bool:
        house.put(endpoint(url="https://new.example.com/hook"))
        return False

    house.pauses._answered_since = answered_since
    await house.fail_for_long()
    assert (house.written, house.told) == ([], [])
