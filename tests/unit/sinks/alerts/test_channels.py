"""Lanes of channels: what is posted together, retried, and given up; and that no channel waits for another."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from accounts.alerts import Severity
from outbound.alert_posts import Notice
from outbound.outcomes import Outcome, answered
from sinks.alerts.channels import PATIENCE, TRIES, WAITING, Address, Channels
from tests.clock import START, MovedClock, settled
from tests.unit.sinks.sink_parts import OK, Receiver

DISCORD = Address("discord", "https://discord.example/1")
OTHER_DISCORD = Address("discord", "https://discord.example/2")
SLACK = Address("slack", "https://slack.example/1")
JSON = Address("webhook", "https://alerts.example/1")


def notice(number: int = 1) -> Notice:
    return Notice(f"evt_{number}", "acme", "billing", Severity.HIGH, f"alert {number}", {}, 1, START, START)


class House:
    """Channels, their other side, and a clock that the test moves."""

    def __init__(self) -> None:
        self.receiver = Receiver()
        self.clock = MovedClock()
        self.channels = Channels(self.receiver.post, self.clock)
        self.told: list[asyncio.Task[str]] = []

    async def tell(self, address: Address, *numbers: int) -> None:
        self.told += [asyncio.ensure_future(self.channels.tell(address, notice(number))) for number in numbers]
        await settled()

    @property
    def ends(self) -> list[str | None]:
        return [task.result() if task.done() else None for task in self.told]

    def titles(self, request: int) -> list[str]:
        return [embed["title"] for embed in orjson.loads(self.receiver.requests[request].body)["embeds"]]


@pytest.fixture
def house() -> House:
    return House()


async def test_an_alert_that_is_taken_is_told(house: House) -> None:
    await house.tell(DISCORD, 1)
    await house.receiver.answer(OK)
    assert house.ends == ["told"]
    assert house.channels.counts == {("discord", "told"): 1}


async def test_what_waits_meanwhile_goes_together_ten_at_a_time(house: House) -> None:
    await house.tell(DISCORD, *range(13))
    await house.receiver.answer(OK)
    await house.clock.move(0.5)
    assert house.titles(0) == ["alert 0", *(f"alert {n}" for n in range(1, 10))]
    assert house.titles(1) == ["alert 10", "alert 11", "alert 12"]


async def test_discord_gets_no_more_than_five_posts_in_two_seconds(house: House) -> None:
    for number in range(30):
        await house.tell(DISCORD, number)
        await house.receiver.answer_all(OK)
        await house.clock.move(0.1)
    posts_in_three_seconds = len(house.receiver.requests)
    assert posts_in_three_seconds <= 8


async def test_an_address_is_left_in_peace_for_as_long_as_it_asks_and_others_are_not(house: House) -> None:
    await house.tell(DISCORD, 1)
    await house.receiver.answer(answered(429, 8.0, '{"retry_after": 7.0, "global": false}'))
    await house.tell(OTHER_DISCORD, 2)
    assert [request.url for request in house.receiver.requests] == [DISCORD.url, OTHER_DISCORD.url]
    await house.clock.move(6.9)
    assert len(house.receiver.requests) == 2
    await house.clock.move(0.2)
    assert len(house.receiver.requests) == 3


async def test_a_limit_that_holds_everywhere_silences_the_whole_channel_and_no_other(house: House) -> None:
    await house.tell(DISCORD, 1)
    await house.receiver.answer(answered(429, 8.0, '{"retry_after": 7.0, "global": true}'))
    await house.tell(OTHER_DISCORD, 2)
    await house.tell(SLACK, 3)
    assert [request.url for request in house.receiver.requests] == [DISCORD.url, SLACK.url]
    await house.clock.move(7.1)
    assert {request.url for request in house.receiver.open} == {DISCORD.url, OTHER_DISCORD.url, SLACK.url}


async def test_a_channel_that_fails_is_tried_a_few_times_and_then_given_up_and_counted(house: House) -> None:
    await house.tell(JSON, 1)
    for _ in range(TRIES):
        await house.receiver.answer(answered(500))
        await house.clock.move(60)
    assert len(house.receiver.requests) == TRIES
    assert house.ends == ["500"]
    assert house.channels.counts == {("webhook", "500"): 1}


@pytest.mark.parametrize(
    "outcome",
    [
        answered(404),
        answered(410),
        answered(400),
        answered(302),
        Outcome(error_class="invalid_url"),
        Outcome(error_class="refused_address"),
    ],
)
async def test_what_another_attempt_would_not_change_is_given_up_at_once(house: House, outcome: Outcome) -> None:
    await house.tell(SLACK, 1)
    await house.receiver.answer(outcome)
    assert house.ends == [str(outcome.status or outcome.error_class)]


@pytest.mark.parametrize("outcome", [answered(408), answered(429), answered(503), Outcome(error_class="timeout")])
async def test_what_may_pass_is_tried_again(house: House, outcome: Outcome) -> None:
    await house.tell(SLACK, 1)
    await house.receiver.answer(outcome)
    await house.clock.move(1.1)
    await house.receiver.answer(OK)
    assert house.ends == ["told"]


async def test_the_next_alert_goes_out_after_one_was_given_up(house: House) -> None:
    await house.tell(JSON, 1, 2)
    await house.receiver.answer(answered(404))
    await house.receiver.answer(OK)
    assert house.ends == ["404", "told"]


async def test_of_more_than_may_wait_the_oldest_are_given_up(house: House) -> None:
    await house.tell(JSON, 0)
    await house.tell(JSON, *range(1, WAITING + 3))
    assert house.ends[:4] == [None, "overflow", "overflow", None]
    assert house.ends.count("overflow") == 2


async def test_what_has_waited_too_long_is_given_up(house: House) -> None:
    await house.tell(JSON, 1, 2)
    await house.clock.move(PATIENCE + 1)
    await house.receiver.answer(answered(404))
    await house.tell(JSON, 3)
    assert house.ends[:2] == ["404", "late"]


async def test_an_address_is_forgotten_when_nothing_waits_for_it(house: House) -> None:
    await house.tell(DISCORD, 1)
    await house.receiver.answer(OK)
    await house.clock.move(1)
    assert len(house.channels) == 0


async def test_stopping_settles_what_waits(house: House) -> None:
    await house.tell(JSON, 1, 2)
    house.channels.stop()
    await settled()
    assert house.ends == ["stopped", "stopped"]


def test_an_address_does_not_show_its_secrets() -> None:
    assert "secret" not in repr(Address("slack", "https://slack.example/secret", "secret")).replace("secret=", "")


async def test_an_alert_is_signed_anew_on_every_attempt_with_the_same_id(house: House) -> None:
    signed = Address("webhook", "https://alerts.example/", "s3cret")
    await house.tell(signed, 1)
    await house.receiver.answer(answered(500))
    await house.clock.move(2)
    first, second = (request.headers for request in house.receiver.requests)
    names: tuple[Any, ...] = ("webhook-id", "X-Trackly-Signature")
    assert [first[name] for name in names] == [second[name] for name in names]
    assert first["webhook-timestamp"] != second["webhook-timestamp"]
