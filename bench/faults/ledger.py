"""The books of a run with faults: posted callbacks, their expected results, and the actual ones."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import aiohttp
from aiohttp import web

from accounts.model import Config
from bus.embedded.broker import free_port
from schemas.records import AccountConfig, ContactState, DeliveryEvent, EndpointConfig, ListConfig, UnsubscribeEvent
from tests.cluster import Cluster

ACCOUNT, PATIENT, STRICT = "acme", "+18005550001", "+18005550002"
THRESHOLD = 3
SECRET = "whsec_ZmF1bHRzLWZhdWx0cy1mYXVsdHMtZmF1bHRzLTEyMzQ="  # noqa: S105 - a secret of the benchmark alone

SETTINGS: list[Config] = [
    AccountConfig(id=ACCOUNT, name="Acme"),
    ListConfig(account=ACCOUNT, number=PATIENT, retry_threshold=100),
    ListConfig(account=ACCOUNT, number=STRICT, retry_threshold=THRESHOLD),
]

DELIVERED = {"groupId": 3, "id": 5, "groupName": "DELIVERED", "name": "DELIVERED_TO_HANDSET"}
FAILED = {"groupId": 2, "id": 4, "groupName": "UNDELIVERABLE", "name": "REJECTED_OPERATOR"}
COMPLAINT = {"groupId": 5, "id": 51, "groupName": "REJECTED", "name": "REJECTED_SPAM"}
INVALID = {"groupId": 5, "id": 52, "groupName": "REJECTED", "name": "REJECTED_DESTINATION"}

PROVIDERS_PATIENCE = 900.0
"""Seconds for which a callback is retried."""


class Receiver:
    """A customer's endpoint: refuses some webhooks at first, verifies every signature, and remembers accepted ones."""

    def __init__(self, seed: int, refuses: float = 0.1) -> None:
        self.port = free_port()
        self.bodies: list[dict[str, Any]] = []
        self.repeated = 0
        """Repeated webhooks, by their ids."""
        self.wrong_signatures = 0
        self._taken: set[str] = set()
        self._seed = seed
        self._refuses = refuses
        self._tried: set[str] = set()

    async def __aenter__(self) -> Receiver:
        app = web.Application()
        app.router.add_post("/hook", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body, name = await request.read(), request.headers.get("webhook-id", "")
        expected = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, request.headers.get("X-Trackly-Signature", "")):
            self.wrong_signatures += 1
        if name not in self._tried:
            self._tried.add(name)
            if random.Random(f"{self._seed}/{name}").random() < self._refuses:
                return web.Response(status=503)
        self.repeated += name in self._taken
        self._taken.add(name)
        self.bodies.append(await request.json())
        return web.Response()

    def endpoint(self) -> EndpointConfig:
        """Return the endpoint's settings."""
        url = f"http://127.0.0.1:{self.port}/hook"
        return EndpointConfig(account=ACCOUNT, id="crm", url=url, secret=SECRET, events=("delivery", "unsubscribe"))

    def delivered(self) -> set[str]:
        """Return the ids of messages with an accepted report."""
        return {body["message_id"] for body in self.bodies if body["event"] == "delivery"}

    def opted_out(self) -> set[str]:
        """Return the numbers whose opt-outs it received."""
        return {body["phone_number"] for body in self.bodies if body["event"] == "unsubscribe"}


class Traffic:
    """Posts callbacks until told to stop, like a provider: it retries until they are answered 200, and sometimes
    repeats them after that. Knows the expected results of those answered 200.

    Most are reports that count; about every tenth is one after which the recipient must not be texted anymore: a STOP,
    a complaint, "no such number". Others are reports of messages to removed contacts.
    """

    def __init__(self, port: int, rate: float, seed: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/webhook-feedbacks/infobip?account={ACCOUNT}"
        self._rate = rate
        self._seed = seed
        self._began = time.time() - 7_200
        self._number = 0
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._gone: list[str] = []
        self._replies = 0
        self.refused = 0
        self.answers: Counter[int] = Counter()
        """Statuses of answers; 0: no answer."""
        self.messages: set[str] = set()
        self.stops: set[str] = set()
        self.removed: set[str] = set()
        """Contacts that must be inactive, whatever else was reported."""
        self.fates: dict[str, list[tuple[int, bool]]] = defaultdict(list)
        """Contacts that only count -> number of a message and whether it failed."""

    @property
    def stored(self) -> int:
        """Callbacks that were answered 200."""
        return len(self.messages) + len(self.stops)

    def start(self) -> None:
        """Start or resume posting."""
        if self._task is not None and not self._task.done():
            return
        self._stopping = False
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Wait until everything begun is answered 200."""
        self._stopping = True
        if self._task is not None:
            await self._task

    async def cancel(self) -> None:
        """Stop posting, even what was begun."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def more(self, callbacks: int, timeout: float = 180.0) -> None:
        """Wait until this many more callbacks are answered 200."""
        wanted = self.stored + callbacks
        async with asyncio.timeout(timeout):
            while self.stored < wanted:
                await asyncio.sleep(0.1)

    def expected_failures(self, contact: str) -> int:
        """Return the failed messages in a row at the end, by the provider's time."""
        count = 0
        for _, failed in sorted(self.fates[contact], reverse=True):
            if not failed:
                break
            count += 1
        return count

    async def _run(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as session, asyncio.TaskGroup() as tasks:
            started, first = time.monotonic(), self._number
            while not self._stopping:
                await asyncio.sleep(max(0.0, started + (self._number - first) / self._rate - time.monotonic()))
                tasks.create_task(self._post(session, self._number, random.Random(f"{self._seed}/{self._number}")))
                self._number += 1

    async def say(self, text: str, people: Iterable[str]) -> None:
        """Make these numbers reply this text, one after the other, through a provider without timestamps. Numbers that
        say STOP must be inactive from now on; those that say START need not.
        """
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as session:
            for person in people:
                self._replies += 1
                await self._until_stored(session, self._reply(f"said-{self._replies}", person, text))
                contact = f"{ACCOUNT}:{PATIENT}:{person}"
                (self.removed.add if text == "STOP" else self.removed.discard)(contact)

    async def _post(self, session: aiohttp.ClientSession, number: int, chance: random.Random) -> None:
        item, kind, contact = self._item(number, chance)
        await self._until_stored(session, item, again=chance.random() < 0.05)
        match kind:
            case "stop":
                self.stops.add(contact.rpartition(":")[2])
                self.removed.add(contact)
            case "removal":
                self.removed.add(contact)
            case "failed" | "delivered":
                self.fates[contact].append((number, kind == "failed"))
        if kind != "stop":
            self.messages.add(f"m{number}")

    async def _until_stored(self, session: aiohttp.ClientSession, item: dict[str, Any], again: bool = False) -> None:
        deadline = time.monotonic() + PROVIDERS_PATIENCE
        while True:
            try:
                async with session.post(self._url, json={"results": [item]}) as answer:
                    status = answer.status
            except (aiohttp.ClientError, TimeoutError):
                status = 0
            self.answers[status] += 1
            if status == 200 and not again:
                break
            if status == 200:
                again = False
                continue
            assert status in (0, 503), f"answered {status}"
            assert time.monotonic() < deadline, "a callback was never stored"
            self.refused += 1
            await asyncio.sleep(1)

    def _item(self, number: int, chance: random.Random) -> tuple[dict[str, Any], str, str]:
        """Return an Infobip item, its kind, and its number."""
        draw, list_number = chance.random(), PATIENT
        # Change recipients after a while: few messages of a contact are open at a time.
        recipient = f"+1555{1_000_000 + number // 1_200 * 60 + chance.randrange(60)}"
        if draw < 0.1:
            recipient = f"+1555{5_000_000 + number}"
            self._gone.append(recipient)
            status, kind = (COMPLAINT, "removal") if draw < 0.03 else (INVALID, "removal")
            if draw >= 0.05:
                return self._reply(f"i{number}", recipient, "STOP"), "stop", f"{ACCOUNT}:{PATIENT}:{recipient}"
        elif draw < 0.15 and self._gone:
            recipient, status, kind = chance.choice(self._gone), DELIVERED, "to one who is gone"
        elif draw < 0.3:
            list_number, status, kind = STRICT, FAILED, "failed"
        else:
            status, kind = (FAILED, "failed") if chance.random() < 0.4 else (DELIVERED, "delivered")
        done = self._began + number / 1_000
        item = {
            "messageId": f"m{number}",
            "to": recipient[1:],
            "sender": list_number[1:],
            "status": status,
            "doneAt": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(done)) + f".{int(done % 1 * 1000):03d}+0000",
        }
        return item, kind, f"{ACCOUNT}:{list_number}:{recipient}"

    @staticmethod
    def _reply(name: str, recipient: str, text: str) -> dict[str, Any]:
        return {"messageId": name, "from": recipient[1:], "to": PATIENT[1:], "text": text}


@dataclass(frozen=True)
class Books:
    """The number of callbacks answered 200, and what is wrong with their results."""

    stored: int = 0
    refused: int = 0
    webhooks_repeated: int = 0
    events_missing: int = 0
    events_doubled: int = 0
    webhooks_missing: int = 0
    still_active: int = 0
    wrong_counts: int = 0
    rejected: int = 0
    wrong_signatures: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing is missing, no removed contact is active, and every count is exact."""
        return not self.wrong

    @property
    def wrong(self) -> dict[str, int]:
        """Return the discrepancies, by name."""
        harmless = ("stored", "refused", "webhooks_repeated")
        return {name: count for name, count in asdict(self).items() if count and name not in harmless}

    def since(self, earlier: Books) -> Books:
        """Return the books with counts since earlier ones."""
        return replace(
            self,
            stored=self.stored - earlier.stored,
            refused=self.refused - earlier.refused,
            webhooks_repeated=self.webhooks_repeated - earlier.webhooks_repeated,
        )

    def figures(self) -> dict[str, int]:
        """By name."""
        return asdict(self)


class Events:
    """Public events seen so far, including those on topics that no longer exist."""

    def __init__(self) -> None:
        self.told: dict[str, set[str]] = defaultdict(set)
        """Message -> ids of its events."""
        self.opted_out: set[str] = set()

    def look(self, cluster: Cluster) -> None:
        """Read what is on Kafka."""
        for event in cluster.records("delivery"):
            if isinstance(event, DeliveryEvent):
                self.told[event.message_id].add(event.event_id)
        for event in cluster.records("unsubscribe"):
            if isinstance(event, UnsubscribeEvent):
                self.opted_out.add(event.phone_number)


def books(cluster: Cluster, events: Events, traffic: Traffic, receiver: Receiver) -> Books:
    """Compare callbacks answered 200 with Kafka and the receiver."""
    events.look(cluster)
    states: dict[str, ContactState] = {}
    for state in cluster.records("contacts"):
        if isinstance(state, ContactState) and state.version >= states.get(state.contact, state).version:
            states[state.contact] = state
    wrong = 0
    for contact, fates in traffic.fates.items():
        current = states.get(contact)
        wrong += (current.failures if current else 0) != traffic.expected_failures(contact)
        if f":{STRICT}:" in contact:
            wrong += (current.active if current else True) != (len(fates) < THRESHOLD)
    return Books(
        stored=traffic.stored,
        refused=traffic.refused,
        events_missing=len(traffic.messages - events.told.keys()) + len(traffic.stops - events.opted_out),
        events_doubled=sum(len(ids) > 1 for ids in events.told.values()),
        webhooks_missing=len(traffic.messages - receiver.delivered()) + len(traffic.stops - receiver.opted_out()),
        webhooks_repeated=receiver.repeated,
        still_active=sum(contact not in states or states[contact].active for contact in traffic.removed),
        wrong_counts=wrong,
        rejected=len(cluster.records("rejected")),
        wrong_signatures=receiver.wrong_signatures,
    )
