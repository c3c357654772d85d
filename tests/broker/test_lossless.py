"""Whatever is killed, whenever: every callback answered with 200 has its event, every event its webhook, and
every contact its exact count.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import shutil
import time
from collections import defaultdict
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from bus.admin import Admin
from bus.embedded.broker import EmbeddedKafka, free_port
from bus.settings import BusSettings
from schemas.records import AccountConfig, ContactState, DeliveryEvent, EndpointConfig, ListConfig
from tests.cluster import Cluster
from tests.patience import PATIENCE, Progress
from tests.sink_house import until

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(900)]

PATIENT, STRICT = "+18005550001", "+18005550002"
SECRET = "whsec_c2VjcmV0LW9mLXRoZS10ZXN0cy0xMjM0"


class Receiver:
    """A customer's endpoint: verifies every signature and remembers every webhook."""

    def __init__(self) -> None:
        self.port = free_port()
        self.bodies: list[dict[str, object]] = []
        self.wrong_signatures = 0

    async def __aenter__(self) -> Receiver:
        app = web.Application()
        app.router.add_post("/hook", self._take)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        expected = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, request.headers.get("X-Trackly-Signature", "")):
            self.wrong_signatures += 1
        self.bodies.append(await request.json())
        return web.Response()

    def endpoint(self) -> EndpointConfig:
        url = f"http://127.0.0.1:{self.port}/hook"
        return EndpointConfig(account="acme", id="crm", url=url, secret=SECRET, events=("delivery", "unsubscribe"))

    def delivered(self) -> set[object]:
        return {body["message_id"] for body in self.bodies if body["event"] == "delivery"}


class Sender:
    """Posts callbacks until told to stop, and knows the expected counts."""

    def __init__(self, port: int, rate: float) -> None:
        self._url = f"http://127.0.0.1:{port}/api/webhook-feedbacks/infobip?account=acme"
        self._rate = rate
        self._random = random.Random(7)
        self.stored: list[str] = []
        self.refused = 0
        self.fates: dict[str, list[tuple[int, bool]]] = defaultdict(list)
        self.stopping = False
        self._number = 0

    async def run(self) -> None:
        async with aiohttp.ClientSession() as session:
            tasks: set[asyncio.Task[None]] = set()
            started, first = time.monotonic(), self._number
            while not self.stopping:
                await asyncio.sleep(max(0.0, started + (self._number - first) / self._rate - time.monotonic()))
                task = asyncio.create_task(self._post(session, self._number))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                self._number += 1
            await asyncio.gather(*tasks)

    async def _post(self, session: aiohttp.ClientSession, number: int) -> None:
        list_number = PATIENT if self._random.random() < 0.9 else STRICT
        # Others after a while, however long it takes: of each contact the latest 32 outcomes count.
        recipient = f"+1555{1_000_000 + number // 6_000 * 60 + self._random.randrange(60)}"
        failed = list_number == STRICT or self._random.random() < 0.4
        body = {
            "results": [
                {
                    "messageId": f"m{number}",
                    "to": recipient.lstrip("+"),
                    "sender": list_number.lstrip("+"),
                    "status": {"groupId": 2, "id": 4, "groupName": "UNDELIVERABLE", "name": "REJECTED_OPERATOR"}
                    if failed
                    else {"groupId": 3, "id": 5, "groupName": "DELIVERED", "name": "DELIVERED_TO_HANDSET"},
                    "doneAt": f"2026-11-20T{10 + number // 3_600_000:02d}:{number // 60_000 % 60:02d}:"
                    f"{number // 1000 % 60:02d}.{number % 1000:03d}+0000",
                }
            ]
        }
        # A provider posts again what was not answered 200, and now and then what was.
        for attempt in range(100):
            try:
                async with session.post(self._url, json=body) as answer:
                    status = answer.status
            except aiohttp.ClientError:
                status = 0
            if status == 200:
                if attempt or self._random.random() > 0.05:
                    break
            else:
                assert status in (0, 503), f"answered {status}"
                self.refused += 1
                await asyncio.sleep(1)
        else:
            raise AssertionError("a callback was never stored")
        self.stored.append(f"m{number}")
        self.fates[f"acme:{list_number}:{recipient}"].append((number, failed))

    async def more(self, callbacks: int) -> None:
        """Wait until this many more callbacks are answered 200."""
        wanted = len(self.stored) + callbacks
        await until(lambda: len(self.stored) >= wanted)

    def expected_failures(self, contact: str) -> int:
        """Return the failed messages in a row at the end, by the provider's time."""
        count = 0
        for _, failed in sorted(self.fates[contact], reverse=True):
            if not failed:
                break
            count += 1
        return count


CONFIGS = [
    AccountConfig(id="acme", name="Acme"),
    ListConfig(account="acme", number=PATIENT, retry_threshold=100),
    ListConfig(account="acme", number=STRICT, retry_threshold=3),
]


async def _until_delivered(sender: Sender, receiver: Receiver, cluster: Cluster | None = None) -> None:
    progress = Progress()
    while missing := set(sender.stored) - receiver.delivered():
        progress.look(len(missing), f"webhooks, such as {sorted(missing)[:5]}, are")
        if cluster is not None:
            cluster.revive()
        await asyncio.sleep(0.5)


def _check_the_books(cluster: Cluster, sender: Sender, receiver: Receiver) -> None:
    events = {event.message_id for event in cluster.records("delivery") if isinstance(event, DeliveryEvent)}
    assert set(sender.stored) <= events
    assert receiver.wrong_signatures == 0
    states = {state.contact: state for state in cluster.records("contacts") if isinstance(state, ContactState)}
    wrong = {
        contact: (state.failures if (state := states.get(contact)) else 0, sender.expected_failures(contact))
        for contact in sender.fates
        if (states[contact].failures if contact in states else 0) != sender.expected_failures(contact)
    }
    assert not wrong, f"counts differ from what they must be (is, must be): {wrong}"
    for contact, fates in sender.fates.items():
        if f":{STRICT}:" in contact:
            assert states[contact].active == (len(fates) < 3), contact


async def test_workers_killed_and_stopped_in_turn_lose_nothing_and_count_exactly(
    bus_settings: BusSettings, tmp_path: Path
) -> None:
    settings = bus_settings.model_copy(update={"retry_schedule": ("1s", "2s", "4s")})
    async with Receiver() as receiver:
        with Cluster(settings, tmp_path) as cluster:
            await cluster.configure([*CONFIGS, receiver.endpoint()])
            cluster.start("ingest", "streams-1", "streams-2", "sinks-1", "sinks-2")
            await asyncio.to_thread(cluster.wait_ready)
            sender = Sender(cluster.ingest_port, rate=60)
            sending = asyncio.create_task(sender.run())
            await sender.more(60)
            for end, name in [
                (cluster.kill, "streams-1"),
                (cluster.kill, "sinks-1"),
                (cluster.stop, "streams-2"),
                (cluster.stop, "sinks-2"),
                (cluster.kill, "streams-2"),
                (cluster.stop, "streams-1"),
                (cluster.kill, "sinks-2"),
                (cluster.stop, "sinks-1"),
            ]:
                await asyncio.to_thread(end, name)
                await sender.more(60)
                cluster.start(name)
                await asyncio.to_thread(cluster.wait_ready)
                await sender.more(60)
            sender.stopping = True
            await sending
            await _until_delivered(sender, receiver)
            _check_the_books(cluster, sender, receiver)


async def _until_all_is_read_beyond_now(settings: BusSettings) -> None:
    """Wait until the remaining workers own all partitions of callbacks, and have read well past their current ends."""
    topic = settings.catalogue["raw"].name
    with Admin(settings, PATIENCE) as admin:
        ends = admin.end_offsets(topic)

        def well_ahead() -> bool:
            read = admin.group_offsets(settings.group("streams"))
            return all(read.get((topic, partition), 0) >= end + 20 for partition, end in ends.items())

        while not await asyncio.to_thread(well_ahead):
            await asyncio.sleep(0.2)


async def test_a_worker_that_wakes_up_after_its_partitions_were_given_away_spoils_nothing(
    bus_settings: BusSettings, tmp_path: Path
) -> None:
    settings = bus_settings.model_copy(update={"retry_schedule": ("1s", "2s", "4s")})
    async with Receiver() as receiver:
        with Cluster(settings, tmp_path) as cluster:
            await cluster.configure([*CONFIGS, receiver.endpoint()])
            cluster.start("ingest", "streams-1", "streams-2", "sinks-1")
            await asyncio.to_thread(cluster.wait_ready)
            sender = Sender(cluster.ingest_port, rate=120)
            sending = asyncio.create_task(sender.run())
            await sender.more(120)
            cluster.freeze("streams-1")
            await _until_all_is_read_beyond_now(settings)
            cluster.thaw("streams-1")
            await sender.more(240)
            sender.stopping = True
            await sending
            await _until_delivered(sender, receiver, cluster=cluster)
            # The tables too: a worker that starts with an empty disk must come to the same counts.
            cluster.kill("streams-1")
            cluster.kill("streams-2")
            shutil.rmtree(tmp_path / "streams")
            cluster.start("streams-1", "streams-2")
            await asyncio.to_thread(cluster.wait_ready)
            sender.stopping = False
            sending = asyncio.create_task(sender.run())
            await sender.more(240)
            sender.stopping = True
            await sending
            await _until_delivered(sender, receiver, cluster=cluster)
            _check_the_books(cluster, sender, receiver)


async def test_a_broker_that_is_killed_and_comes_back_costs_no_callback_that_was_answered_200(tmp_path: Path) -> None:
    broker = EmbeddedKafka(tmp_path / "kafka")
    settings = BusSettings(
        bootstrap_servers=broker.start(), partitions=4, retry_schedule=("1s", "2s", "4s"), data_dir=tmp_path
    )
    async with Receiver() as receiver:
        with Cluster(settings, tmp_path) as cluster:
            await cluster.configure([*CONFIGS, receiver.endpoint()])
            cluster.start("ingest", "streams-1", "sinks-1")
            await asyncio.to_thread(cluster.wait_ready)
            sender = Sender(cluster.ingest_port, rate=60)
            sending = asyncio.create_task(sender.run())
            await sender.more(120)
            broker.kill()
            # Longer than ingest's producer may keep a record (10 s), and until a callback was refused.
            await asyncio.sleep(10.5)
            await until(lambda: sender.refused > 0)
            broker.start()
            sender.stopping = True
            await sending
            cluster.revive()
            await _until_delivered(sender, receiver, cluster=cluster)
            _check_the_books(cluster, sender, receiver)
    broker.stop()
