"""The console's application without Kafka: keys and contacts are given by tests, records are kept in a list."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
import weakref
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine, Table, create_engine
from sqlalchemy.pool import QueuePool, StaticPool

from accounts.keys import ApiKeys, new_key
from accounts.model import Accounts
from bus.clock import Moment, moment, now_ms
from bus.health import Health
from bus.reading.replica import Replica
from bus.tables.store import MemoryStore
from console.app import create_app
from console.backends.database import Reads, Writes
from console.backends.idempotency import Accepted
from console.backends.kafka_writer import Entry
from console.backends.replays import ReplaysView
from console.contacts.freshness import STAGES
from console.contacts.lost_records import LostRecords
from console.contacts.pending_orders import PendingOrders
from console.contacts.places import ContactPlaces
from console.contacts.sent_messages import SentMessages
from console.contacts.view import ContactsView
from console.errors import not_available, validation_failed
from console.parts import Parts
from console.principals import Principal, Role
from console.queries.polled_events import Cursor, EventPage
from console.settings import ConsoleSettings
from database.tables import METADATA
from outbound.guard import RefusedUrl, check_url
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.ids import contact_key
from schemas.records import (
    AccountConfig,
    ApiKey,
    ContactState,
    EndpointConfig,
    ListConfig,
    RawCallback,
    Record,
    ReplayCommand,
)
from tests.clock import MovedClock

CODEC = Codec(FolderRegistry())
A_SECRET = re.compile(r"whsec_[\w+/]")
"""A signing secret in a text; how to verify names no more than what all of them begin with."""

LIST, OTHER_LIST = "+18005551234", "+18005559999"
NUMBER = "+15551230001"


class Written:
    """A writer that keeps its records; if `broken`, it stores nothing, or nothing on the named topics."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, Entry]] = []
        self.broken = False
        self.broken_topics: set[str] = set()
        self.seconds = 0.0
        self.accounts = Accounts()
        self.keys = ApiKeys()
        self.replays = ReplaysView()
        self.places = MemoryStore()

    async def write(self, topic: str, entries: Sequence[Entry]) -> list[Any]:
        await asyncio.sleep(self.seconds)
        if self.broken or topic in self.broken_topics:
            raise not_available("Kafka is away.")
        self.entries += [(topic, entry) for entry in entries]
        for entry in entries:
            self._follow(topic, entry)
        return [None] * len(entries)

    def records(self, topic: str) -> list[Record]:
        return [entry.record for name, entry in self.entries if name == topic and entry.record is not None]

    def _follow(self, topic: str, entry: Entry) -> None:
        """Apply a record like the readers of settings and replays."""
        if isinstance(entry.record, ReplayCommand):
            self.replays.put(entry.record)
        elif isinstance(entry.record, ApiKey):
            self.keys.put(entry.record)
        elif topic == "places":
            value = None if entry.record is None else CODEC.encode(entry.record)
            self.places.write({entry.key or b"": value}, None)
        elif topic.startswith("config_") and topic != "config_keys":
            if entry.record is None:
                self.accounts.drop(topic, (entry.key or b"").decode())
            elif isinstance(entry.record, AccountConfig | ListConfig | EndpointConfig):
                self.accounts.put(entry.record)


@dataclass
class OwnClaims:
    """Claims of one process."""

    seen: dict[tuple[str, str], tuple[bytes, Accepted]] = field(default_factory=dict)

    async def claim(self, scope: str, key: str, body: bytes) -> Accepted:
        accepted = Accepted(now_ms(), f"{scope}:{key}")
        known, first = self.seen.setdefault((scope, key), (body, accepted))
        if known != body:
            raise validation_failed(["Idempotency-Key: was used with another body"])
        return first


class Raw:
    """Raw callbacks by position; `sms.raw/0/0` belongs to `acme`."""

    def __init__(self) -> None:
        self.callbacks = {("sms.raw", 0, 0): raw_callback()}

    async def read(self, topic: str, partition: int, offset: int) -> RawCallback | None:
        return self.callbacks.get((topic, partition, offset))


class Events:
    """Events of an endpoint: returns none, and keeps the requests."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Cursor | None, int | None, int]] = []

    async def read(self, endpoint: EndpointConfig, cursor: Cursor | None, since: int | None, limit: int) -> EventPage:
        name = f"{endpoint.account}/{endpoint.id}"
        self.asked.append((name, cursor, since, limit))
        return EventPage([], Cursor(name, 1, {}).encode(), more=False, missed=False)


def raw_callback(**changes: Any) -> RawCallback:
    """Return an Infobip callback for `acme`."""
    known: dict[str, Any] = {
        "event_id": "evt_raw",
        "provider": "infobip",
        "account": "acme",
        "method": "POST",
        "path": "/api/webhook-feedbacks/infobip",
        "query": "account=acme",
        "headers": {"content-type": "application/json"},
        "content_type": "application/json",
        "body": b'{"results": []}',
        "remote_ip": "203.0.113.9",
        "received_at": 1_795_000_000_000,
    }
    return RawCallback(**known | changes)


def _in_memory() -> Engine:
    """A database with one connection, lent to one thread at a time: uses of keys are written during requests."""
    known = _compiling()

    def connect() -> sqlite3.Connection:
        connection = _with_tables()
        # Since Python 3.13, a connection that is collected without being closed is a warning.
        weakref.finalize(pool, connection.close)
        return connection

    pool = QueuePool(connect, pool_size=1, max_overflow=0, dialect=known.dialect)
    return Engine(pool, known.dialect, known.url, execution_options={"compiled_cache": STATEMENTS})


STATEMENTS: dict[Any, Any] = {}
"""What SQLAlchemy made of the statements of all these databases: to compile one takes longer than to run it."""


@cache
def _compiling() -> Engine:
    """An engine whose dialect the others share, with its cache of compiled statements."""
    engine = create_engine("sqlite://", creator=_with_tables, poolclass=StaticPool)
    engine.connect().close()
    return engine


def _with_tables() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.deserialize(_tables())
    return connection


@cache
def _tables() -> bytes:
    """A database with all tables, empty; copying it is much cheaper than creating it."""
    with closing(sqlite3.connect(":memory:")) as connection:
        engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
        METADATA.create_all(engine)
        return connection.serialize()


class Api:
    """The application with two accounts, `acme` and `other`, each with a list and a key. `engine`: of a database."""

    def __init__(self, engine: Engine | None = None, **settings: Any) -> None:
        self.settings = ConsoleSettings(bootstrap_servers="localhost:1", data_dir=Path("nowhere"), **settings)
        self.user: Principal | None = None
        self.written = Written()
        self.keys = self.written.keys
        self.acme = self.key("acme")
        self.other = self.key("other")
        self.store = MemoryStore()
        places = Replica(self.settings, self.settings.catalogue["places"], self.written.places)
        self.replica = Replica(self.settings, self.settings.catalogue["contacts"], self.store)
        self.orders = MemoryStore()
        orders = Replica(self.settings, self.settings.catalogue["commands"], self.orders)
        self.registered = MemoryStore()
        registered = Replica(self.settings, self.settings.catalogue["messages"], self.registered)
        self.sent = SentMessages(registered, lambda: True)
        self.losses = MemoryStore()
        losses = Replica(self.settings, self.settings.catalogue["losses"], self.losses)
        self.lost = LostRecords(self.settings, CODEC, losses)
        self.view = ContactsView(self.settings, CODEC, self.replica, PendingOrders(orders), self.sent, self.lost)
        accounts = self.accounts = self.written.accounts
        for account, number in (("acme", LIST), ("other", OTHER_LIST)):
            accounts.put(AccountConfig(id=account, name=account))
            accounts.put(ListConfig(account=account, number=number))
        accounts.put(endpoint())
        self.raw = Raw()
        self.engine = engine or _in_memory()
        database = (Reads(self.engine), Writes(self.engine), self.engine)
        self.events = Events()
        others = (*database, self.raw, self.written.replays, self.keys, _refusal_of, self.events)
        self.clock = MovedClock()
        known = (accounts, self.view, ContactPlaces(CODEC, places))
        self.parts = Parts(self.settings, *known, self.written, OwnClaims(), *others, self.clock.now_ms)
        self.health = Health("console")
        self.app = create_app(self.parts, self.keys, self.health)
        self.complete(seconds_ago=1)

    def key(self, account: str | None, expires_at: int | None = None, endpoint: str | None = None) -> str:
        """Return a new key for an account, or for one of its endpoints."""
        key, text = new_key(account, f"{account} shop", expires_at, endpoint=endpoint)
        self.keys.put(key)
        return text

    async def request(self, method: str, path: str, *, key: str | None = None, **options: Any) -> httpx.Response:
        """Return the answer to a request with a key, by default that of `acme`. Empty: without a key."""
        headers = {"X-Api-Key": self.acme if key is None else key} if key != "" else {}
        transport = httpx.ASGITransport(self._as_user, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://console") as client:
            headers |= options.pop("headers", {})
            return await client.request(method, path, headers=headers, **options)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        """The answer to a GET."""
        return await self.request("GET", path, **options)

    async def post(self, path: str, **options: Any) -> httpx.Response:
        """The answer to a POST."""
        return await self.request("POST", path, **options)

    def sign_in(self, role: Role | None, account: str = "acme") -> None:
        """From now on, request pages as a user with this role, or as nobody."""
        self.user = None if role is None else Principal("user", "1", "ann@example.com", {account: role})

    async def page(self, path: str, **options: Any) -> httpx.Response:
        """Return the answer to a GET of a page of `acme`."""
        return await self.request("GET", f"/accounts/acme{path}", key="", **options)

    async def form(self, path: str, **fields: Any) -> httpx.Response:
        """Return the answer to a form on a page of `acme`, sent as by a browser."""
        headers = {"sec-fetch-site": "same-origin"}
        return await self.request(
            "POST", f"/accounts/acme{path}", key="", headers=headers, data={"csrf": "token", **fields}
        )

    def put(self, table: Table, *rows: Mapping[str, Any]) -> None:
        """Put rows into the database."""
        with self.engine.begin() as connection:
            connection.execute(table.insert(), rows)

    async def _as_user(self, scope: Any, receive: Any, send: Any) -> None:
        if self.user is not None:
            scope.setdefault("state", {}).update(principal=self.user, csrf="token")
        await self.app(scope, receive, send)

    def complete(self, seconds_ago: float) -> None:
        """Make the copy of contacts complete up to this long ago."""
        moment = Moment(time.monotonic() - seconds_ago, int((time.time() - seconds_ago) * 1000))
        nothing: tuple[dict[tuple[str, int], int], ...] = tuple({} for _ in STAGES)
        for _ in range(len(STAGES) + 1):
            self.view.freshness.look(moment, {}, nothing)
        self.view.problem = None

    def counts_messages(self) -> None:
        """Make registered messages counted up to now."""
        self.sent._follows = True
        now = moment()
        self.sent.look(now, {})
        self.sent.look(now, {})

    def contact(self, active: bool, account: str = "acme", list_number: str = LIST, **changes: Any) -> None:
        """Put a contact into the copy, by default that of NUMBER."""
        number = changes.get("number", NUMBER)
        name = contact_key(account, list_number, number)
        state = ContactState(
            contact=name,
            account=account,
            list_number=list_number,
            phone_number=number,
            active=active,
            failures=changes.get("failures", 0),
            reason=None if active else changes.get("reason", "message"),
            since=1_705_314_600_000,
            last_event_id="evt_1",
            scope=changes.get("scope", "list"),
            except_lists=changes.get("except_lists", ()),
            known_as=changes.get("known_as"),
            held=changes.get("held", False),
        )
        self.store.write({name.encode(): CODEC.encode(state)}, None)
        self.replica.on_key(name.encode())


def endpoint(**changes: Any) -> EndpointConfig:
    """Return the endpoint `crm` of `acme`. Nothing listens there."""
    settings: dict[str, Any] = {
        "account": "acme",
        "id": "crm",
        "url": "https://127.0.0.1:9/hook",
        "secret": "whsec_cHJlc2VudA==",
        "events": ("delivery", "reply"),
    }
    return EndpointConfig(**settings | changes)


def rotating(**changes: Any) -> EndpointConfig:
    """Return the same during a rotation of its secret."""
    return endpoint(secret_next="whsec_bmV4dA==", secret_next_at=now_ms() + 3_600_000, **changes)


async def _refusal_of(url: str, allow_http: bool) -> str | None:
    """Judge a URL as if every name had a public address; IP addresses are judged as they are."""
    try:
        check_url(url, allow_http=allow_http)
    except RefusedUrl as error:
        return str(error)
    return None


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code of an answer, which must have exactly the three fields of an error."""
    body = answer.json()
    assert list(body) == ["error", "code", "message"]
    assert all(body.values())
    return answer.status_code, body["code"]
