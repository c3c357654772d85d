"""Alerts from real events to a receiver that stands in for Discord, Slack, and an account's own address."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from standardwebhooks.webhooks import Webhook

from schemas.records import AccountConfig, AlertTold, DeliveryEvent
from tests.fork_server import Process
from tests.sink_house import SECRET, Kafka, Receiver, delivered, endpoint, until

pytestmark = [pytest.mark.broker]

StartSinks = Callable[[], Process]


def account(receiver: Receiver, name: str, **changes: Any) -> AccountConfig:
    values: dict[str, Any] = {
        "discord_webhook_url": f"{receiver.url}/{name}-discord",
        "slack_webhook_url": f"{receiver.url}/{name}-slack",
        "alert_webhook_url": f"{receiver.url}/{name}-alerts",
        "alert_webhook_secret": SECRET,
    }
    return AccountConfig(id=name, name=name, **(values | changes))


def failed(number: int, name: str = "acme") -> DeliveryEvent:
    return replace(
        delivered(number),
        account=name,
        status="undeliverable",
        status_detail="REJECTED_ABSENT_SUBSCRIBER",
        status_class="transient",
    )


def bodies(receiver: Receiver, path: str) -> list[tuple[dict[str, str], bytes]]:
    return [
        (headers, body)
        for name, requests in receiver.requests.items()
        if name.startswith(path)
        for _, headers, body in requests
    ]


def told(kafka: Kafka) -> list[AlertTold]:
    return [kafka.codec.decode_as(AlertTold, record.value) for record in kafka.read("alerts_told")]


async def test_a_burst_is_told_together_in_every_channel_and_written_down(
    kafka: Kafka, receiver: Receiver, start_sinks: StartSinks
) -> None:
    await kafka.endpoints(account(receiver, "acme"))
    await kafka.events([failed(number) for number in range(60)])
    start_sinks()
    await until(lambda: sum(alert.count for alert in told(kafka)) == 60)

    alerts = told(kafka)
    assert len(alerts) <= 2
    assert {alert.type for alert in alerts} == {"delivery_failures"}
    assert alerts[0].channels == {"discord": "told", "slack": "told", "webhook": "told"}
    assert "REJECTED_ABSENT_SUBSCRIBER" in alerts[0].text
    for path in ("/acme-discord", "/acme-slack", "/acme-alerts"):
        assert len(bodies(receiver, path)) == len(alerts)
        assert not any(b"+1555" in body for _, body in bodies(receiver, path))
    headers, body = bodies(receiver, "/acme-alerts")[0]
    verified = Webhook(SECRET).verify(body, {name.lower(): value for name, value in headers.items()})
    assert (verified["id"], verified["count"]) == (alerts[0].event_id, alerts[0].count)


async def test_a_mute_holds_back_what_is_told_and_not_what_is_written_down(
    kafka: Kafka, receiver: Receiver, start_sinks: StartSinks
) -> None:
    muted_until = round(time.time() * 1000) + 600_000
    await kafka.endpoints(account(receiver, "acme", alerts_muted_until=muted_until), account(receiver, "other"))
    await kafka.events([failed(1), failed(2, "other")])
    start_sinks()
    await until(lambda: {alert.account: alert.outcome for alert in told(kafka)} == {"acme": "muted", "other": "told"})
    assert not bodies(receiver, "/acme-")
    assert len(bodies(receiver, "/other-discord")) == 1


async def test_a_channel_that_is_down_harms_neither_webhooks_nor_other_channels(
    kafka: Kafka, receiver: Receiver, start_sinks: StartSinks
) -> None:
    receiver.answer = lambda path, number: 500 if path == "/acme-slack" else 200
    await kafka.endpoints(account(receiver, "acme"), endpoint(receiver, "crm"))
    await kafka.events([failed(number) for number in range(30)])
    start_sinks()
    await until(lambda: all(receiver.of("/crm", f"evt_{number}") for number in range(30)))
    await until(lambda: bool(bodies(receiver, "/acme-discord")))
    await until(lambda: bool(told(kafka)))
    [alert, *_] = told(kafka)
    assert alert.outcome == "told"
    assert json.loads(bodies(receiver, "/acme-discord")[0][1])["embeds"]
    assert alert.channels == {"discord": "told", "slack": "500", "webhook": "told"}
