"""The Faust app `streams`: normalize -> contacts, and clicks beside them."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import Any

from accounts.store import AccountsReader
from bus.app import Worker
from bus.batches import batches
from bus.due import DueRows
from bus.owners import OwnedRows
from streams import click_row, message_row
from streams.clicks import Clicks, Waits
from streams.contacts import Contacts
from streams.normalize import normalize
from streams.settings import StreamsSettings
from streams.unknown_codes import UnknownCodes

log = logging.getLogger(__name__)

CONTACT_INPUTS = ("receipts", "inbound", "messages", "clicks", "commands")
CLICK_INPUTS = ("links", "postbacks")

TICK_EVERY = 1.0
"""Seconds between looks at the reports that wait for their message, and the postbacks that wait for their click."""

PURGE_EVERY = 6 * 3600.0
"""Seconds between sweeps over expired messages and clicks. One that is still there costs disk and does no harm."""


class Streams(Worker):
    """The worker of the streams service. Its tables lie under `data_dir/streams/{instance}`, for no other process."""

    def __init__(self, settings: StreamsSettings) -> None:
        directory = settings.data_dir / "streams" / (settings.instance_id or "default")
        super().__init__(settings, "streams", directory=directory, host=settings.host, port=settings.port)
        self.settings = settings
        self.accounts = AccountsReader(settings, self.codec)
        counter = self.health.counter
        unknown = counter("unknown_codes", "Failures with a code that no table has.", ["provider"])
        self.unknown_codes = UnknownCodes(lambda provider: unknown.labels(provider).inc())
        self.orphaned = counter("orphaned_reports", "Reports that went out without the message they waited for.")
        self.conversions = counter(
            "conversions",
            "Postbacks settled: joined with their click, orphaned (nobody registered it), repeated, rejected.",
            ["result"],
        )

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
    about_recipients, about_clicks = worker.inbox(*CONTACT_INPUTS), worker.inbox(*CLICK_INPUTS)
    contacts = _contacts(worker)
    conversions = _clicks(worker)

    @worker.agent(worker.channel("raw"), name="normalize")  # type: ignore[untyped-decorator]
    async def normalize_agent(stream: Any) -> None:
        async for batch in batches(worker, raw, stage="normalize"):
            for source in batch:
                with batch.attempt(source):
                    normalize(batch, source, worker.codec, worker.unknown_codes)

    @worker.agent(worker.channel(*CONTACT_INPUTS), name="contacts")  # type: ignore[untyped-decorator]
    async def contacts_agent(stream: Any) -> None:
        async for batch in batches(
            worker,
            about_recipients,
            stage="contacts",
            tables=contacts.tables,
            repair=contacts.republish,
            tick=contacts.tick,
            tick_every=TICK_EVERY,
        ):
            for source in batch:
                with batch.attempt(source):
                    contacts.apply(batch, source)

    @worker.agent(worker.channel(*CLICK_INPUTS), name="clicks")  # type: ignore[untyped-decorator]
    async def clicks_agent(stream: Any) -> None:
        async for batch in batches(
            worker,
            about_clicks,
            stage="clicks",
            tables=(conversions.table,),
            tick=conversions.settle_due,
            tick_every=TICK_EVERY,
        ):
            for source in batch:
                with batch.attempt(source):
                    conversions.apply(batch, source)

    @worker.task  # type: ignore[untyped-decorator]
    async def purge() -> None:
        while not worker.should_stop:
            await worker.sleep(PURGE_EVERY)
            if worker.should_stop:
                return
            oldest = _days_ago(settings.message_days)
            purged = await contacts.tables.messages.purge(
                lambda row: message_row.since_of(row, worker.codec) >= oldest  # noqa: B023 - called at once
            )
            log.info("purged %d messages older than %d days", purged, settings.message_days)
            oldest = _days_ago(settings.conversion_days)
            purged = await conversions.table.purge(partial(click_row.is_kept, oldest=oldest))
            log.info("purged %d clicks not heard of for %d days", purged, settings.conversion_days)

    return worker


def _contacts(worker: Streams) -> Contacts:
    wait = worker.settings.registration_wait
    waiting = DueRows(partial(message_row.due_at, wait=int(wait * 1000)), patience=wait)
    worker.health.gauge(
        "waiting_messages", "Messages that are not registered yet and whose reports wait.", waiting.count
    )
    return Contacts(
        worker.codec,
        worker.accounts.view,
        worker.durable_table("contacts", "table_contacts"),
        worker.durable_table(
            "messages", "table_messages", waiting, OwnedRows(partial(message_row.owners_of, codec=worker.codec))
        ),
        wait=wait,
        on_orphaned=worker.orphaned.inc,
        pseudonyms=worker.settings.pseudonyms,
    )


def _clicks(worker: Streams) -> Clicks:
    settings = worker.settings
    return Clicks(
        worker.codec,
        worker.accounts.view.accounts.get,
        worker.durable_table(
            "clicks",
            "table_clicks",
            DueRows(click_row.due_at, patience=settings.link_wait),
            OwnedRows(click_row.owners_of),
        ),
        worker.catalogue["postbacks"].name,
        Waits(int(settings.link_wait * 1_000), int(settings.conversion_repeat_minutes * 60_000)),
        lambda result: worker.conversions.labels(result).inc(),
    )


def _days_ago(days: int) -> int:
    return time.time_ns() // 1_000_000 - days * 86_400_000
