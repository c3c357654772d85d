"""Raw forwarding: a list's own URLs get each delivery report and reply as the provider sent it.

Each item is sent once, unsigned, with its own content type: it is neither retried nor recorded. Forwarding has its own
consumer and group, so it never delays webhooks. Each host has a few requests at a time and a bounded queue; items that
do not fit are dropped and counted, so a dead host affects no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from accounts.lists import list_of
from accounts.model import Accounts
from bus.clock import Clock
from bus.worker.batch import NOT_OF_THE_RECORD
from outbound.formats import raw_content_type
from providers import PROVIDERS
from schemas.codec import Codec, CodecError
from schemas.records import InboundMessage, ListConfig, Receipt
from sinks.consumer import OLDEST_MS, FetchedRecord, Positions, SinkParts
from sinks.webhooks.fanout import may_use_http
from sinks.webhooks.signed_post import Post

log = logging.getLogger(__name__)

TOPICS = ("receipts", "inbound")
"""Topics that are forwarded (catalogue short names)."""

PER_HOST = 8
"""Maximum concurrent requests to one host."""

WAITING_ITEMS, WAITING_BYTES = 1_000, 1 << 20
"""Maximum items that wait for one host."""

TOTAL_BYTES = 64 << 20
"""Maximum items that wait for all hosts together."""

LAST_SECONDS = 5.0
"""Seconds to wait for items in progress when the process stops."""


class Item(NamedTuple):
    """One raw item, and its destination."""

    url: str
    content_type: str
    body: bytes
    allow_http: bool


def target_of(report: Receipt | InboundMessage, accounts: Accounts) -> Item | None:
    """Return the destination of a report's raw item, or None if its list has none."""
    number = list_of(report, None, accounts.known_lists(report.account)).list_number
    config = None if number is None else accounts.lists_of(report.account).get(number)
    url = None if config is None else _url_for(report, config)
    if url is None:
        return None
    return Item(url, raw_content_type(report.raw), report.raw.encode(), may_use_http(report.account, accounts))


def _url_for(report: Receipt | InboundMessage, config: ListConfig) -> str | None:
    return config.dlr_forward_url if isinstance(report, Receipt) else config.reply_forward_url


@dataclass(slots=True)
class _Host:
    in_flight: int = 0
    waiting: deque[Item] = field(default_factory=deque)
    bytes: int = 0


class Hosts:
    """Sends items, a few at a time to each host, in the order of arrival. `counts` are by outcome."""

    def __init__(self, post: Post) -> None:
        self.counts: Counter[str] = Counter()
        self.bytes = 0
        self._post = post
        self._hosts: dict[str, _Host] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def offer(self, item: Item) -> None:
        """Queue an item, or drop it."""
        name = _host_of(item.url)
        host = self._hosts.setdefault(name, _Host())
        size = len(item.body)
        if host.in_flight >= PER_HOST and (
            len(host.waiting) >= WAITING_ITEMS or host.bytes + size > WAITING_BYTES or self.bytes + size > TOTAL_BYTES
        ):
            self.counts["dropped"] += 1
            return
        host.waiting.append(item)
        host.bytes += size
        self.bytes += size
        if host.in_flight < PER_HOST:
            host.in_flight += 1
            task = asyncio.get_running_loop().create_task(self._send(name, host))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def finish(self, timeout: float) -> None:
        """Wait for items in progress, for at most `timeout` seconds."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout)
        for task in self._tasks:
            task.cancel()

    async def _send(self, name: str, host: _Host) -> None:
        try:
            while host.waiting:
                item = host.waiting.popleft()
                host.bytes -= len(item.body)
                self.bytes -= len(item.body)
                outcome = await self._post(item.url, {"Content-Type": item.content_type}, item.body, item.allow_http)
                self.counts[outcome.label] += 1
        finally:
            host.in_flight -= 1
            if not host.in_flight:
                self._hosts.pop(name, None)


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


class Forwarding:
    """The sink. It begins to read once a list has a forward URL, so it costs nothing where nothing is forwarded."""

    topics = TOPICS
    alone = False
    from_now_on = True
    gather_bytes = 1

    def __init__(self, accounts: Accounts, codec: Codec, post: Post, clock: Clock) -> None:
        self.hosts = Hosts(post)
        self._accounts = accounts
        self._codec = codec
        self._clock = clock
        self._positions: dict[Any, int] = {}
        self._wanted = asyncio.Event()
        self._wanting: set[bytes] = set()

    async def wanted(self) -> None:
        """Return once a list has a forward URL."""
        self.on_change("config_lists", "")
        await self._wanted.wait()

    def on_change(self, topic: str, key: str) -> None:
        """Handle a written or deleted setting. For `AccountsReader.on_change`."""
        if topic != "config_lists":
            return
        self._wanting = {
            account.encode()
            for account, lists in self._accounts.lists.items()
            if any(config.dlr_forward_url or config.reply_forward_url for config in lists.values())
        }
        if self._wanting:
            self._wanted.set()

    def take(self, found: Mapping[Any, list[FetchedRecord]]) -> None:
        """Forward records by partition."""
        for partition, records in found.items():
            for record in records:
                self.forward(record)
            self._positions[partition] = records[-1].offset + 1

    def settled(self) -> Positions:
        """Return the offsets of everything read, which counts as sent: no item is sent twice."""
        return dict(self._positions)

    async def hand_over(self) -> Positions:
        """Return the offsets of everything read; waiting items are still sent here."""
        positions, self._positions = self._positions, {}
        return positions

    async def stop(self) -> None:
        """Finish items in progress, for a few seconds at most."""
        await self.hosts.finish(LAST_SECONDS)

    def forward(self, record: FetchedRecord) -> None:
        """Forward a Kafka record if its list has a forward URL. Unreadable records were already rejected elsewhere."""
        if not self._may_be_wanted(record.key) or self._clock.now_ms() - record.timestamp > OLDEST_MS:
            return
        try:
            report = self._codec.decode(record.value)
            item = target_of(report, self._accounts) if isinstance(report, Receipt | InboundMessage) else None
        except CodecError:
            return
        except NOT_OF_THE_RECORD:
            raise
        except Exception:
            log.exception("a record cannot be forwarded")
            return
        if item is not None:
            self.hosts.offer(item)

    def _may_be_wanted(self, key: bytes | None) -> bool:
        # `account:recipient`; a report without a recipient has its provider's name there, and its account in the
        # record.
        owner = (key or b"").partition(b":")[0]
        return owner in self._wanting or owner.decode("utf-8", "replace") in PROVIDERS


def sink(parts: SinkParts) -> Forwarding:
    """Return the service's sink."""
    made = Forwarding(parts.accounts, parts.codec, parts.post, parts.clock)
    parts.on_setting.append(made.on_change)
    parts.health.export("forwarded", lambda: {(outcome,): count for outcome, count in made.hosts.counts.items()})
    return made
