"""The Faust app `streams`: normalize -> contacts."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import Any

from accounts.store import AccountsReader
from bus.app import Worker
from bus.batches import batches
from bus.due import DueRows
from schemas.codec import Codec
from streams.contacts import Contacts
from streams.message_row import due_at, since_of
from streams.normalize import normalize
from streams.optout import default_words
from streams.settings import StreamsSettings
from streams.unknown_codes import UnknownCodes

log = logging.getLogger(__name__)

CONTACT_INPUTS = ("receipts", "inbound", "messages", "clicks", "commands")
TICK_EVERY = 1.0
"""Seconds between looks at the reports that wait for their message."""

PURGE_EVERY = 6 * 3600.0
"""Seconds between sweeps over expired messages. One that is still there costs disk and does no harm."""


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
    wait = settings.registration_wait
    waiting = DueRows(partial(due_at, wait=int(wait * 1000)), patience=wait)
    messages_table = worker.durable_table("messages", "table_messages", waiting)
    worker.health.gauge(
        "waiting_messages", "Messages that are not registered yet and whose reports wait.", waiting.count
    )
    unknown = worker.health.counter("unknown_codes", "Failures with a code that no table has.", ["provider"])
    unknown_codes = UnknownCodes(lambda provider: unknown.labels(provider).inc())
    orphaned = worker.health.counter("orphaned_reports", "Reports that went out without the message they waited for.")
    contacts = Contacts(
        worker.codec,
        worker.accounts.view,
        default_words(),
        contacts_table,
        messages_table,
        wait=wait,
        on_orphaned=orphaned.inc,
    )

    @worker.agent(worker.channel("raw"), name="normalize")  # type: ignore[untyped-decorator]
    async def normalize_agent(stream: Any) -> None:
        async for batch in batches(worker, raw, stage="normalize"):
            for source in batch:
                with batch.attempt(source):
                    normalize(batch, source, worker.codec, unknown_codes)

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

    @worker.task  # type: ignore[untyped-decorator]
    async def purge_messages() -> None:
        while not worker.should_stop:
            await worker.sleep(PURGE_EVERY)
            if worker.should_stop:
                return
            oldest = int(time.time() * 1000) - settings.message_days * 86_400_000
            purged = await messages_table.purge(partial(_is_kept, oldest=oldest, codec=worker.codec))
            log.info("purged %d messages older than %d days", purged, settings.message_days)

    return worker


def _is_kept(value: bytes, oldest: int, codec: Codec) -> bool:
    return since_of(value, codec) >= oldest
