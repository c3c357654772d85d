"""Shared by the tests of the sinks: a receiver with given answers, and events."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from bus.ledger import Ledger, TopicPartition
from outbound.outcomes import Outcome, answered
from schemas.records import DeliveryEvent, EndpointConfig
from tests.clock import START, settled

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OK = answered(200)


class Request(NamedTuple):
    """A request that waits for its answer."""

    url: str
    headers: dict[str, str]
    body: bytes
    allow_http: bool
    answer: asyncio.Future[Outcome]


class Receiver:
    """The other side of all endpoints; `post` stands in for `Sender.post`. Answers come from the test."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def post(self, url: str, headers: dict[str, str], body: bytes, allow_http: bool) -> Outcome:
        request = Request(url, headers, body, allow_http, asyncio.get_running_loop().create_future())
        self.requests.append(request)
        return await request.answer

    @property
    def open(self) -> list[Request]:
        return [request for request in self.requests if not request.answer.done()]

    @property
    def ids(self) -> list[str]:
        """Return the webhook-ids of all requests, in order."""
        return [request.headers["webhook-id"] for request in self.requests]

    async def answer(self, outcome: Outcome, count: int = 1) -> None:
        """Answer the oldest open requests, one after the other."""
        for _ in range(count):
            self.open[0].answer.set_result(outcome)
            await settled()

    async def answer_all(self, outcome: Outcome) -> None:
        """Answer until nothing is open."""
        while self.open:
            await self.answer(outcome)


def ledger(topic: str = "sms.events", partition: int = 0) -> Ledger:
    return Ledger(TopicPartition(topic, partition), 0, 1)


def endpoint(name: str = "crm", **changes: Any) -> EndpointConfig:
    values: dict[str, Any] = {
        "account": "acme",
        "url": f"https://{name}.example.com/hook",
        "secret": SECRET,
        "events": ("delivery", "reply", "unsubscribe"),
    }
    return EndpointConfig(id=name, **(values | changes))


def delivered(event_id: str, to: str | None = "+15550001111", **changes: Any) -> DeliveryEvent:
    values: dict[str, Any] = {
        "account": "acme",
        "message_id": f"message-{event_id}",
        "provider_message_id": f"provider-{event_id}",
        "provider": "infobip",
        "list_number": "+18005551234",
        "status": "delivered",
        "status_detail": "DELIVERED_TO_HANDSET",
        "status_class": "delivered",
        "provider_code": "5",
        "final": True,
        "timestamp": START,
    }
    return DeliveryEvent(event_id=event_id, to=to, **(values | changes))
