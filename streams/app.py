"""The Faust app `streams`: normalize -> contacts, with clicks alongside."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from functools import partial

from accounts.store import AccountsReader
from bus.admin import Admin
from bus.clock import now_ms
from bus.layout import Identity, LayoutError
from bus.tables.count_index import CountedRows
from bus.tables.due_index import DueRows
from bus.tables.owner_index import OwnedRows
from bus.tables.table import Indexes
from bus.worker.app import Worker
from bus.worker.batch import Batch
from bus.worker.batches import batches
from streams import brake_row, click_row, message_row, row
from streams.cleaning import Cleaning
from streams.clicks import Clicks, Waits
from streams.contacts import Contacts
from streams.normalize import normalize
from streams.optout import default_words
from streams.recipient import Tables
from streams.settings import StreamsSettings
from streams.unknown_codes import UnknownCodes

log = logging.getLogger(__name__)

CONTACT_INPUTS = ("receipts", "inbound", "messages", "clicks", "commands")
CLICK_INPUTS = ("links", "postbacks")

TICK_EVERY = 1.0
"""Seconds between checks for reports that wait for their message, and postbacks that wait for their click."""

MOST_STATES_ALONE = 2_000
"""Contact states that the first batches may have published before any row was written."""

LOOKS_AFTER = 10.0
"""Seconds from the start to the first check for quiet partitions (`streams.cleaning`)."""

PURGE_EVERY = 6 * 3600.0
"""Seconds between purges of expired messages and clicks. A leftover costs disk space but does no harm."""


def check_not_lost(changelog: str, states: int, has_committed: bool) -> None:
    """Raises LayoutError if contact states exist, but this changelog never had a row.

    States are sent before rows, so after a crash the very first ones may exist alone, with nothing committed yet.
    """
    if states and (has_committed or states > MOST_STATES_ALONE):
        raise LayoutError(
            f"{changelog} is empty, but {states:,} contact states have been published: the changelog was lost, and "
            "with it the removals. Run `trackly tables rebuild-from-contacts` before you start streams again."
        )


def has_read(topics: Collection[str], offsets: Mapping[tuple[str, int], int]) -> bool:
    """Whether a group has read records of the topics, by its committed offsets. It also commits where it starts: at 0
    in a new installation."""
    return any(topic in topics and offset > 0 for (topic, _), offset in offsets.items())


class Streams(Worker):
    """The worker of the streams service. Its tables are in `data_dir/streams/{instance}`, for this process only."""

    def __init__(self, settings: StreamsSettings) -> None:
        directory = settings.data_dir / "streams" / (settings.instance_id or "default")
        super().__init__(settings, "streams", directory=directory, host=settings.host, port=settings.port)
        self.settings = settings
        self.accounts = AccountsReader(settings, self.codec)
        self.health.export("records", lambda: self.records)
        unknown = self.health.counter("unknown_codes")
        self.unknown_codes = UnknownCodes(lambda provider: unknown.labels(provider).inc())
        self.orphaned = self.health.counter("orphaned_reports")
        self.conversions = self.health.counter("conversions")
        self._removals_held = self.health.tally("removals_held")
        self._to_event = self.health.distributions("callback_to_event_seconds")[()]

    def code_classes(self, account: str) -> Mapping[str, str]:
        """Return the effects of failures on contacts that the account configured itself."""
        config = self.accounts.view.accounts.get(account)
        return {} if config is None else config.code_classes

    def _look_at_topics(self) -> dict[str, Identity]:
        found = super()._look_at_topics()
        changelog, contacts = self.catalogue["table_contacts"].name, self.catalogue["contacts"].name
        with Admin(self.bus) as admin:
            if not any(admin.end_offsets(changelog).values()):
                inputs = {self.catalogue[topic].name for topic in CONTACT_INPUTS}
                # The stages before it commit on their own, while the first rows of contacts are still to be written.
                has_committed = has_read(inputs, admin.group_offsets(self.conf.id))
                check_not_lost(changelog, sum(admin.end_offsets(contacts).values()), has_committed)
        return found

    def count_results(self, stage: str, batch: Batch) -> None:
        """Count the results of a batch, and how long its events took."""
        super().count_results(stage, batch)
        for reason, count in batch.held.items():
            self._removals_held.add(reason, by=count)
        now = now_ms()
        for _, received_at in batch.received:
            self._to_event.observe((now - received_at) / 1000)

    async def on_start(self) -> None:
        """Read the settings of all accounts, and the words of opt-outs, before the first record."""
        default_words()  # otherwise the first callback would wait for it, half a second
        await self.accounts.start()
        await super().on_start()

    async def on_stop(self) -> None:
        """Stop taking records, finish, disconnect."""
        await super().on_stop()
        await self.accounts.stop()


def create_app(settings: StreamsSettings) -> Streams:
    """Return the app with its agents."""
    worker = Streams(settings)
    raw = worker.inbox("raw")
    about_recipients, about_clicks = worker.inbox(*CONTACT_INPUTS), worker.inbox(*CLICK_INPUTS)
    contacts = _contacts(worker)
    clicks = _clicks(worker)
    of_contacts, of_clicks = _cleanings(settings, contacts, clicks)

    def tick_contacts(batch: Batch) -> None:
        contacts.tick(batch)
        of_contacts.tick(batch)

    def tick_clicks(batch: Batch) -> None:
        clicks.settle_due(batch)
        of_clicks.tick(batch)

    @worker.stage("normalize", "raw")
    async def normalize_all() -> None:
        async for batch in batches(worker, raw, stage="normalize"):
            for source in batch:
                with batch.attempt(source):
                    normalize(batch, source, worker.codec, worker.unknown_codes, worker.code_classes)

    @worker.stage("contacts", *CONTACT_INPUTS)
    async def apply_to_contacts() -> None:
        async for batch in batches(
            worker,
            about_recipients,
            stage="contacts",
            tables=contacts.tables,
            repair=contacts.republish,
            tick=tick_contacts,
            tick_every=TICK_EVERY,
        ):
            for source in batch:
                with batch.attempt(source):
                    contacts.apply(batch, source)

    @worker.stage("clicks", *CLICK_INPUTS)
    async def apply_to_clicks() -> None:
        async for batch in batches(
            worker,
            about_clicks,
            stage="clicks",
            tables=(clicks.table,),
            tick=tick_clicks,
            tick_every=TICK_EVERY,
        ):
            for source in batch:
                with batch.attempt(source):
                    clicks.apply(batch, source)

    @worker.task  # type: ignore[untyped-decorator]
    async def purge() -> None:
        await _purge_forever(worker, contacts, clicks)

    @worker.task  # type: ignore[untyped-decorator]
    async def clean() -> None:
        await _clean_forever(worker, (of_contacts, of_clicks))

    return worker


async def _purge_forever(worker: Streams, contacts: Contacts, clicks: Clicks) -> None:
    while not worker.should_stop:
        await worker.sleep(PURGE_EVERY)
        if not worker.should_stop:
            await _purge(worker, contacts, clicks)


async def _purge(worker: Streams, contacts: Contacts, clicks: Clicks) -> None:
    """Delete the rows of messages and clicks whose days are over, and counts that no report can change anymore."""
    settings = worker.settings
    oldest = _days_ago(settings.message_days)
    purged = await contacts.tables.messages.purge(lambda value: message_row.since_of(value, worker.codec) >= oldest)
    log.info("purged %d messages older than %d days", purged, settings.message_days)
    purged = await clicks.table.purge(partial(click_row.is_kept, oldest=_days_ago(settings.conversion_days)))
    log.info("purged %d clicks without activity for %d days", purged, settings.conversion_days)
    contacts.forget_removals()


async def _clean_forever(worker: Streams, cleanings: Sequence[Cleaning]) -> None:
    pause = LOOKS_AFTER
    while not worker.should_stop:
        await worker.sleep(pause)
        if worker.should_stop:
            return
        pause = min([await cleaning.look() for cleaning in cleanings])


def _cleanings(settings: StreamsSettings, contacts: Contacts, clicks: Clicks) -> tuple[Cleaning, Cleaning]:
    """Return what lets Kafka clean the topics of the stages `contacts` and `clicks`."""
    tables = {"table_contacts": contacts.tables.contacts, "table_messages": contacts.tables.messages}
    return (
        Cleaning(settings, tables, ("contacts", "places")),
        Cleaning(settings, {"table_clicks": clicks.table}),
    )


def _contacts(worker: Streams) -> Contacts:
    wait = worker.settings.registration_wait
    waiting = DueRows(partial(message_row.due_at, wait=int(wait * 1000)), patience=wait)
    worker.health.gauge("waiting_messages", waiting.count)
    contacts = Contacts(
        worker.codec,
        worker.accounts.view,
        Tables(
            worker.durable_table(
                "contacts",
                "table_contacts",
                Indexes(owned=OwnedRows(row.holders_of), counted=CountedRows(row.labels_of)),
            ),
            worker.durable_table(
                "messages",
                "table_messages",
                Indexes(due=waiting, owned=OwnedRows(partial(message_row.owners_of, codec=worker.codec))),
            ),
            worker.durable_table("brakes", "table_brakes", Indexes(due=DueRows(brake_row.due_at))),
        ),
        partitions=worker.catalogue["commands"].partitions,
        wait=wait,
        on_orphaned=worker.orphaned.inc,
        pseudonyms=worker.settings.pseudonyms,
    )
    worker.health.gauge("held_contacts", contacts.held)
    return contacts


def _clicks(worker: Streams) -> Clicks:
    settings = worker.settings
    return Clicks(
        worker.codec,
        worker.accounts.view.accounts.get,
        worker.durable_table(
            "clicks",
            "table_clicks",
            Indexes(DueRows(click_row.due_at, patience=settings.link_wait), OwnedRows(click_row.owners_of)),
        ),
        worker.catalogue["postbacks"].name,
        Waits(int(settings.link_wait * 1_000), int(settings.conversion_repeat_minutes * 60_000)),
        lambda result: worker.conversions.labels(result).inc(),
    )


def _days_ago(days: int) -> int:
    return now_ms() - days * 86_400_000
