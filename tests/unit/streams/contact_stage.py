"""The contacts stage with real batches and tables over an in-memory Kafka, and a clock that tests move."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any, TypeVar

from aiokafka.errors import KafkaError

from accounts.model import Accounts, Config
from accounts.suppression import WHOLE_ACCOUNT, effective_state, unrecorded
from bus.memory import CODEC, MemoryKafka, ledger, make_durable
from bus.reading.replica import Replica
from bus.settings import BusSettings
from bus.tables.count_index import CountedRows
from bus.tables.due_index import DueRows
from bus.tables.owner_index import OwnedRows
from bus.tables.store import MemoryStore, Store
from bus.tables.table import Indexes
from bus.tables.versions import pack, version_header
from bus.worker.batch import Batch
from bus.worker.inbox import Admitted
from console.contacts.recorded import RecordedContacts
from schemas.ids import contact_key, recipient_key
from schemas.pseudonyms import Pseudonyms
from schemas.records import (
    AccountConfig,
    ContactCommand,
    ContactState,
    InboundMessage,
    LinkClick,
    ListConfig,
    MessageSent,
    Receipt,
    Record,
)
from schemas.topics import Catalogue
from streams import brake_row, row
from streams.contacts import Contacts
from streams.copied import WRITTEN_AT
from streams.message_row import due_at, owners_of
from streams.normalize import key_of_receipt
from streams.recipient import Tables
from streams.row import ContactRow, from_bytes
from tests.unit.streams.contact_records import ACCOUNT, LIST, START_OF_DAY

WAIT = 60.0
PSEUDONYM_KEY = "a secret of the tests"
REGISTERING = AccountConfig(id=ACCOUNT, name="Acme", registers_messages=True)
"""The account, where a report waits for its message."""

NOT_REGISTERING = AccountConfig(id=ACCOUNT, name="Acme")
ONE_LIST = ListConfig(account=ACCOUNT, number=LIST)

CATALOGUE = Catalogue()

RUNNER = asyncio.Runner()
T = TypeVar("T")


def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end. `RUNNER.run` also sets up Ctrl-C each time, which takes as long as the stage's
    work.
    """
    return RUNNER.get_loop().run_until_complete(work)


class Stage:
    """Processes records, one per batch, and returns their results, in order. The clock starts with the day.

    Records are in partition 0 of `partitions`.
    """

    partitions = 1

    def __init__(self, *configs: Config) -> None:
        self.kafka = MemoryKafka()
        self.orphaned = 0
        self.generation = 1
        self.got_at: dict[str, int] = {}
        """When Kafka got a record (by its event id), in ms: of an order by default when it was given, of others 0."""
        self._view = Accounts()
        for config in configs:
            self._view.put(config)
        self._seconds = 0.0
        self._stores: dict[str, dict[int, Store]] = {"contacts": {}, "messages": {}, "brakes": {}}
        self.restart()

    def restart(self) -> None:
        """Restart the worker."""
        waiting = DueRows(lambda value: due_at(value, int(WAIT * 1000)), clock=self._clock)
        self._contacts = Contacts(
            CODEC,
            self._view,
            Tables(
                self.kafka.table(
                    "contacts",
                    self._stores["contacts"],
                    Indexes(owned=OwnedRows(row.holders_of), counted=CountedRows(row.labels_of)),
                ),
                self.kafka.table(
                    "messages", self._stores["messages"], Indexes(waiting, OwnedRows(partial(owners_of, codec=CODEC)))
                ),
                self.kafka.table(
                    "brakes", self._stores["brakes"], Indexes(DueRows(brake_row.due_at, clock=self._clock))
                ),
            ),
            partitions=self.partitions,
            wait=WAIT,
            clock=self._clock,
            on_orphaned=self._count_orphaned,
            pseudonyms=Pseudonyms(PSEUDONYM_KEY),
        )
        for table in self._contacts.tables:
            to_the_end(table.claim([ledger(generation=self.generation)]))

    def lose_disk(self) -> None:
        """Start with empty stores: everything is restored from the changelogs."""
        self._stores = {"contacts": {}, "messages": {}, "brakes": {}}
        self.restart()

    def apply(self, *records: Record) -> list[Record]:
        """Apply records; returns what was sent."""
        before = len(self.kafka.sent)
        for record in records:
            self._take(self._admitted(record))
        return self._sent_since(before)

    def apply_under(self, key: bytes | None, record: Record) -> list[Record]:
        """Apply a record that was written under this key."""
        before = len(self.kafka.sent)
        self._take(self.kafka.admitted("messages", key, CODEC.encode(record)))
        return self._sent_since(before)

    def apply_copied(self, record: ContactCommand, copied_at: int) -> None:
        """Apply a command that was copied from other topics at a time (ms)."""
        source = self._admitted(record)
        headers = ((WRITTEN_AT, b"%d" % source.record.timestamp),)
        self._take(source._replace(record=source.record._replace(timestamp=copied_at, headers=headers)))

    def crash_on(self, record: Record, refusing: str) -> list[Record]:
        """Apply a record while a table's changelog accepts nothing, then restart: whatever was sent before stays
        sent.
        """
        self.kafka.refusing = {f"changelog-{refusing}"}
        before = len(self.kafka.sent)
        try:
            self.apply(record)
        except KafkaError:
            pass
        self.kafka.refusing = set()
        self.restart()
        return self._sent_since(before)

    def tick(self, seconds: float = 0.0) -> list[Record]:
        """Let time pass, then run whatever is due; returns what was sent."""
        self._seconds += seconds
        before = len(self.kafka.sent)
        batch = self._batch()
        self._contacts.tick(batch)
        to_the_end(make_durable(batch))
        return self._sent_since(before)

    def contact(self, number: str, list_number: str = LIST, account: str = ACCOUNT) -> ContactRow:
        """Return a contact's row; an empty one if nothing is known."""
        value = self._contacts.tables.contacts.get(0, f"{account}:{list_number}:{number}".encode())[1]
        return ContactRow(since=0) if value is None else from_bytes(value)

    def state(self, number: str, list_number: str = LIST, account: str = ACCOUNT) -> ContactState:
        """Return whether a contact may be texted, as every reader sees it: by its published state and the account-wide
        one.
        """
        newest = {each.key: each.value for each in self.kafka.sent if each.topic == CATALOGUE["contacts"].name}
        own, whole = (newest.get(contact_key(account, each, number).encode()) for each in (list_number, WHOLE_ACCOUNT))
        recorded = None if own is None else CODEC.decode_as(ContactState, own)
        suppression = None if whole is None else CODEC.decode_as(ContactState, whole)
        return effective_state(recorded or unrecorded(account, list_number, number), suppression)

    def may_be_texted(self, number: str, list_number: str = LIST, account: str = ACCOUNT) -> bool:
        """Whether the console answers that a contact may be texted, whatever name it is recorded under."""
        settings, store = BusSettings(), MemoryStore()
        topic = settings.catalogue["contacts"]
        store.write({each.key: each.value for each in self.kafka.sent if each.topic == topic.name and each.key}, None)
        recorded = RecordedContacts(CODEC, Replica(settings, topic, store), Pseudonyms(PSEUDONYM_KEY))
        to_the_end(recorded.start())
        found = recorded.standing(account, list_number, number)
        return found is None or found.active

    def configure(self, *configs: Config) -> None:
        """Settings change."""
        for config in configs:
            self._view.put(config)

    def holds(self, text: str) -> list[bytes]:
        """Return everything in the tables' stores that contains a text, including keys and indexes."""
        stores = [store for table in self._stores.values() for store in table.values()]
        return [key + value for store in stores for key, value in store.own_items(b"") if text.encode() in key + value]

    def decide(self, order: ContactCommand) -> list[Record]:
        """Let an order about held removals come, and go on to this partition, the only one; returns what was sent."""
        before = len(self.kafka.sent)
        key = order.account.encode()
        self._take(self.kafka.admitted("commands", key, CODEC.encode(order), order.issued_at))
        self._take(self.kafka.admitted("commands", None, CODEC.encode(order), order.issued_at))
        return self._sent_since(before)

    def crash_on_tick(self, order: ContactCommand, refusing: str) -> list[Record]:
        """Let an order about held removals come, and crash when it is taken, and when it is carried out: what was sent
        before is out.
        """
        before = len(self.kafka.sent)
        for act in (lambda: self.decide(order), lambda: self.tick(1.0), lambda: self.tick(1.0)):
            self.kafka.refusing = {f"changelog-{refusing}"}
            try:
                act()
            except KafkaError:
                pass
            self.kafka.refusing = set()
            self.restart()
            self.decide(order)
        return self._sent_since(before)

    def write_over(self, contact: bytes, version: int, value: bytes | None) -> None:
        """Let a worker that no longer owns it write a contact's row to the changelog, or delete it."""
        row = None if value is None else pack(version, value)
        headers = [version_header(version)] if value is None else None
        to_the_end(self.kafka.send("changelog-contacts", row, key=contact, partition=0, headers=headers))

    def repair(self) -> list[Record]:
        """Detect what was overwritten, and write it again; returns what was sent."""
        before = len(self.kafka.sent)
        batch = self._batch()
        table = self._contacts.tables.contacts
        ends = table.ends()
        for stale in to_the_end(table.look_again(ends, to_the_end(self.kafka.end_offsets(list(ends))))):
            batch.rewrite(stale)
            self._contacts.republish(batch, stale)
        to_the_end(make_durable(batch))
        return self._sent_since(before)

    def _batch(self) -> Batch:
        return self.kafka.batch([], *self._contacts.tables, generation=self.generation)

    def _take(self, source: Admitted) -> None:
        batch = self._batch()
        with batch.attempt(source):
            self._contacts.apply(batch, source)
        to_the_end(make_durable(batch))

    def _admitted(self, record: Record) -> Admitted:
        at = 0
        match record:
            case Receipt():
                topic, key, at = "receipts", key_of_receipt(record), self.got_at.get(record.event_id, 0)
            case InboundMessage():
                topic, key = "inbound", recipient_key(record.account, record.from_)
                at = self.got_at.get(record.event_id, 0)
            case MessageSent():
                topic, key = "messages", recipient_key(record.account, record.to)
            case LinkClick():
                topic, key = "clicks", recipient_key(record.account, record.to)
            case ContactCommand():
                topic, key = "commands", recipient_key(record.account, record.phone_number)
                at = self.got_at.get(record.event_id, record.issued_at)
            case _:
                raise AssertionError(f"{type(record).__name__} is not an input of the stage")
        return self.kafka.admitted(topic, key, CODEC.encode(record), at)

    def _sent_since(self, count: int) -> list[Record]:
        sent = [record.value for record in self.kafka.sent[count:] if not record.topic.startswith("changelog-")]
        return [CODEC.decode(value) for value in sent if value is not None]

    def _clock(self) -> float:
        return START_OF_DAY / 1000 + self._seconds

    def _count_orphaned(self, count: int) -> None:
        self.orphaned += count
