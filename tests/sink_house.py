"""The webhook sink as a separate process, the receiver of its webhooks, and its records: for tests on a broker."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from accounts.model import Config
from accounts.store import write_configs
from bus.admin import Admin
from bus.alive import ask
from bus.producer import Producer
from bus.settings import BusSettings
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.ids import recipient_key
from schemas.records import DeliveryEvent, EndpointConfig, MessageCallback
from tests.cluster import stored
from tests.patience import PATIENCE

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@dataclass
class Receiver:
    """Receives webhooks. `answer` returns the status for a path and the number of the request with that webhook-id."""

    url: str = ""
    answer: Callable[[str, int], int] = lambda path, number: 200
    requests: dict[str, list[tuple[float, dict[str, str], bytes]]] = field(default_factory=lambda: defaultdict(list))
    answers: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    async def handle(self, request: web.Request) -> web.Response:
        event_id = request.headers.get("webhook-id", "")
        seen = self.requests[request.path + event_id]
        seen.append((time.time(), dict(request.headers), await request.read()))
        status = self.answer(request.path, len(seen))
        self.answers[request.path + event_id].append(status)
        return web.Response(status=status)

    def has_seen(self, webhooks: int) -> bool:
        return len(self.requests) > webhooks

    def of(self, path: str, event_id: str) -> list[tuple[float, dict[str, str], bytes]]:
        return self.requests[path + event_id]


class Kafka:
    """Writes settings and events, and reads what the sink wrote."""

    def __init__(self, settings: BusSettings) -> None:
        self.settings = settings
        self.codec = Codec(FolderRegistry())
        self.producer = Producer(settings)

    async def endpoints(self, *configs: Config) -> None:
        await write_configs(self.producer, self.settings, self.codec, list(configs))

    async def events(self, events: Sequence[DeliveryEvent | MessageCallback], topic: str = "delivery") -> None:
        topic = self.settings.catalogue[topic].name
        sent = [
            await self.producer.send(topic, self.codec.encode(e), key=recipient_key(e.account, e.to or ""))
            for e in events
        ]
        await asyncio.gather(*sent)

    async def raw(self, topic: str, value: bytes, **arguments: Any) -> None:
        await (await self.producer.send(self.settings.catalogue[topic].name, value, **arguments))

    def read(self, topic: str) -> list[Any]:
        return stored(self.settings, topic)

    def lag(self) -> int:
        with Admin(self.settings, PATIENCE) as admin:
            lag = admin.lag(f"{self.settings.topic_prefix}trackly-sinks")
            waiting = [
                count
                for delay in self.settings.retry_schedule
                for count in admin.lag(f"{self.settings.topic_prefix}trackly-delay-{delay}").values()
            ]
        return sum(lag.values()) + sum(waiting)


@asynccontextmanager
async def receiving(path: str, handler: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """Yield the base URL at which a handler receives POSTs."""
    app = web.Application()
    app.router.add_post(path, handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def endpoint(receiver: Receiver, name: str, **changes: Any) -> EndpointConfig:
    values: dict[str, Any] = {"events": ("delivery",), "secret": SECRET, "url": f"{receiver.url}/{name}"}
    return EndpointConfig(account="acme", id=name, **(values | changes))


def delivered(number: int) -> DeliveryEvent:
    return DeliveryEvent(
        event_id=f"evt_{number}",
        account="acme",
        message_id=f"message-{number}",
        provider_message_id=f"p{number}",
        provider="infobip",
        to=f"+1555{number % 97:07d}",
        list_number="+18005551234",
        status="delivered",
        status_detail="DELIVERED_TO_HANDSET",
        status_class="delivered",
        provider_code=None,
        final=True,
        timestamp=1_705_314_600_000 + number,
    )


async def until_ready(*ports: int) -> None:
    """Wait until the services at these ports are ready."""
    for port in ports:
        while not (await asyncio.to_thread(ask, port)).ready:
            await asyncio.sleep(0.05)


async def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met"
        await asyncio.sleep(0.05)
