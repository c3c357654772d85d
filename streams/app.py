"""The Faust app `streams`: normalize -> contacts."""

from __future__ import annotations

import logging
import time
from typing import Any

from accounts.store import AccountsReader
from bus.app import Worker
from bus.batches import batches
from schemas.codec import Codec
from schemas.pseudonyms import Pseudonyms
from schemas.records import MessageSent
from streams.contacts import Contacts
from streams.normalize import normalize
from streams.optout import default_words
from streams.settings import StreamsSettings

log = logging.getLogger(__name__)

CONTACT_INPUTS = ("receipts", "inbound", "messages", "commands")
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
    messages_table = worker.durable_table("messages", "table_messages")
    secret = settings.pseudonym_key
    pseudonyms = None if secret is None else Pseudonyms(secret.get_secret_value())
    contacts = Contacts(worker.codec, worker.accounts.view, default_words(), contacts_table, messages_table, pseudonyms)

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

    @worker.task  # type: ignore[untyped-decorator]
    async def purge_messages() -> None:
        while not worker.should_stop:
            await worker.sleep(PURGE_EVERY)
            if worker.should_stop:
                return
            purged = await messages_table.purge(lambda row: not _expired(worker.codec, row, settings.message_days))
            log.info("purged %d registered messages older than %d days", purged, settings.message_days)

    return worker


def _expired(codec: Codec, row: bytes, days: int) -> bool:
    message = codec.decode_as(MessageSent, row)
    return message.sent_at < time.time() * 1000 - days * 86_400_000
