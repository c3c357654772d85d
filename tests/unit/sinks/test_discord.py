"""Alerts about endpoints in Discord."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from sink_parts import OK, START, MovedClock, Receiver, settled

from accounts.store import Accounts
from bus.settings import BusSettings
from outbound.outcomes import answered
from schemas.codec import Codec
from schemas.records import AccountConfig, EndpointAlert
from schemas.registry import FolderRegistry
from sinks.discord import TRIES, DiscordAlerts, message_of
from sinks.forwarding import OLDEST_MS

CODEC = Codec(FolderRegistry())
URL = "https://discord.example/api/webhooks/1/secret"


def alert(**changes: Any) -> EndpointAlert:
    values: dict[str, Any] = {
        "event_id": "evt_1",
        "account": "acme",
        "endpoint": "crm",
        "event": "endpoint.paused",
        "reason": "failing",
        "error": "timeout",
        "failures": 100,
        "since": START,
        "timestamp": START,
    }
    return EndpointAlert(**(values | changes))


class House:
    """Alerts without a consumer: the test gives it the records."""

    def __init__(self, **account: Any) -> None:
        self.receiver = Receiver()
        self.clock = MovedClock()
        accounts = Accounts()
        for name in ("acme", "other"):
            accounts.put(AccountConfig(id=name, name=name, **{"discord_webhook_url": f"{URL}/{name}", **account}))
        settings = BusSettings(bootstrap_servers="unused:9092")
        self.discord = DiscordAlerts(settings, accounts, CODEC, self.receiver.post, self.clock)

    async def give(self, *alerts: EndpointAlert, at: int = START) -> asyncio.Task[None]:
        records = [SimpleNamespace(value=CODEC.encode(each), timestamp=at) for each in alerts]
        task = asyncio.ensure_future(self.discord.take(records))
        await asyncio.sleep(0.05)  # the URL is resolved in a thread
        await settled()
        return task


@pytest.fixture
def house() -> House:
    return House()


def test_a_message_names_the_endpoint_and_why_and_mentions_nobody() -> None:
    message = orjson.loads(message_of(alert(reason="@everyone")))
    [embed] = message["embeds"]
    assert embed["title"] == "Webhook endpoint paused"
    assert {field["name"]: field["value"] for field in embed["fields"]} == {
        "Endpoint": "acme/crm",
        "Reason": "@everyone",
        "Last error": "timeout",
        "Failures in a row": "100",
        "Since": "2024-01-15T10:30:00.000Z",
    }
    assert message["allowed_mentions"] == {"parse": []}


@pytest.mark.parametrize("event", ["endpoint.paused", "endpoint.recovered", "endpoint.expiring", "endpoint.new"])
def test_every_alert_has_a_title(event: str) -> None:
    assert orjson.loads(message_of(alert(event=event)))["embeds"][0]["title"]


async def test_an_alert_goes_to_the_discord_of_its_account(house: House) -> None:
    task = await house.give(alert())
    [request] = house.receiver.requests
    assert (request.url, request.body) == (f"{URL}/acme", message_of(alert()))
    await house.receiver.answer(OK)
    await task


async def test_an_account_without_discord_is_not_told() -> None:
    house = House(discord_webhook_url=None)
    await (await house.give(alert()))
    assert not house.receiver.requests


async def test_a_secret_that_is_missing_stops_nothing() -> None:
    house = House(discord_webhook_url="env:NO_SUCH_VARIABLE")
    await (await house.give(alert()))
    assert not house.receiver.requests


async def test_what_is_old_is_not_told(house: House) -> None:
    await (await house.give(alert(), at=START - OLDEST_MS - 1))
    assert not house.receiver.requests


async def test_discord_is_given_the_time_that_it_asks_for(house: House) -> None:
    task = await house.give(alert())
    await house.receiver.answer(answered(429, 7.0))
    await house.clock.move(6.9)
    assert len(house.receiver.requests) == 1
    await house.clock.move(0.2)
    assert len(house.receiver.requests) == 2
    await house.receiver.answer(OK)
    await task


async def test_an_alert_is_given_up_at_last_and_the_next_one_goes_out(house: House) -> None:
    task = await house.give(alert(), alert(event_id="evt_2", event="endpoint.recovered"))
    for _ in range(TRIES):
        await house.receiver.answer(answered(500))
        await house.clock.move(60)
    assert house.discord.counts["given_up"] == 1
    assert b"recovered" in house.receiver.requests[-1].body
    await house.receiver.answer(OK)
    await task


async def test_accounts_do_not_wait_for_each_other(house: House) -> None:
    task = await house.give(alert(), alert(account="other"))
    assert {request.url for request in house.receiver.requests} == {f"{URL}/acme", f"{URL}/other"}
    await house.receiver.answer(OK, count=2)
    await task
