"""The Faust app `streams`: normalize -> contacts, and normalize -> clicks."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import Any

from accounts.store import AccountsReader
from bus.app import Worker
from bus.batches import batches
from bus.due import DueRows
from bus.tables import Table
from schemas.codec import Codec
from schemas.records import MessageSent
from streams import click_row
from streams.clicks import Clicks, Waits
from streams.contacts import Contacts
from streams.normalize import normalize
from streams.optout import default_words
from streams.settings import StreamsSettings

log = logging.getLogger(__name__)

CONTACT_INPUTS = ("receipts", "inbound", "messages", "commands")
CLICK_INPUTS = ("links", "postbacks")
PURGE_EVERY = 6 * 3600.0
"""Seconds between sweeps over expired messages and clicks. One that is still there costs disk and does no harm."""


class Streams(Worker):
    """The worker of the streams service. Its tables lie under `data_dir/streams/{instance}`, for no other process."""

    def __init__(self, settings: StreamsSettings) -> None:
        directory = settings.data_dir / "streams" / (settings.instance_id or "default")
        super().__init__(settings, "streams", directory=directory, host=settings.host, port=settings.port)
        self.settings = settings
        self.accounts = AccountsReader(settings, self.codec)

    async def on_start(self) -> None:
        """Read the settings of all accounts before the first record."""
        await self.accounts.start()
        await super().on_start()

    async def on_stop(self) -> None:
        """Stop taking records, finish, disconnect."""
        await super().on_stop()
        await self.accounts.stop()


def create_app(settings: StreamsSettings) -> Streams:
    """The app with its agents."""
    worker = Streams(settings)
    raw = worker.inbox("raw")
    about_recipients = worker.inbox(*CONTACT_INPUTS)
    contacts_table = worker.durable_table("contacts", "table_contacts")
    messages_table = worker.durable_table("messages", "table_messages")
    about_clicks = worker.inbox(*CLICK_INPUTS)
    clicks_table = worker.durable_table("clicks", "table_clicks", DueRows(click_row.due_at, settings.link_wait))
    contacts = Contacts(worker.codec, worker.accounts.view, default_words(), contacts_table, messages_table)
    clicks = _clicks(worker, clicks_table)

    @worker.agent(worker.channel("raw"), name="normalize")  # type: ignore[untyped-decorator]
    async def normalize_agent(stream: Any) -> None:
        async for batch in batches(worker, raw, stage="normalize"):
            for source in batch:
                with batch.attempt(source):
                    normalize(batch, source, worker.codec)

    @worker.agent(worker.channel(*CONTACT_INPUTS), name="contacts")  # type: ignore[untyped-decorator]
    async def contacts_agent(stream: Any) -> None:
        tables = (contacts_table, messages_table)
        repair = contacts.republish
        async for batch in batches(worker, about_recipients, stage="contacts", tables=tables, repair=repair):
            for source in batch:
                with batch.attempt(source):
                    contacts.apply(batch, source)

    @worker.agent(worker.channel(*CLICK_INPUTS), name="clicks")  # type: ignore[untyped-decorator]
    async def clicks_agent(stream: Any) -> None:
        async for batch in batches(
            worker, about_clicks, stage="clicks", tables=(clicks_table,), tick=clicks.settle_due
        ):
            for source in batch:
                with batch.attempt(source):
                    clicks.apply(batch, source)

    @worker.task  # type: ignore[untyped-decorator]
    async def purge() -> None:
        while not worker.should_stop:
            await worker.sleep(PURGE_EVERY)
            if worker.should_stop:
                return
            purged = await messages_table.purge(lambda row: not _expired(worker.codec, row, settings.message_days))
            log.info("purged %d registered messages older than %d days", purged, settings.message_days)
            oldest = _days_ago(settings.conversion_days)
            purged = await clicks_table.purge(partial(click_row.is_kept, oldest=oldest))
            log.info("purged %d clicks not heard of for %d days", purged, settings.conversion_days)

    return worker


def _clicks(worker: Streams, table: Table) -> Clicks:
    settings = worker.settings
    waits = Waits(int(settings.link_wait * 1_000), int(settings.conversion_repeat_minutes * 60_000))
    counter = worker.health.counter(
        "conversions",
        "Postbacks settled: joined with their click, orphaned (nobody registered it), repeated, rejected.",
        ["result"],
    )
    topic = worker.catalogue["postbacks"].name
    configs = worker.accounts.view.accounts.get
    return Clicks(worker.codec, configs, table, topic, waits, lambda result: counter.labels(result).inc())


def _expired(codec: Codec, row: bytes, days: int) -> bool:
    message = codec.decode_as(MessageSent, row)
    return message.sent_at < _days_ago(days)


def _days_ago(days: int) -> int:
    return time.time_ns() // 1_000_000 - days * 86_400_000
