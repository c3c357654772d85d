"""The contacts stage with real batches and tables over Kafka in memory, and a clock that tests move."""

from __future__ import annotations

import asyncio
from functools import partial

from aiokafka.errors import KafkaError
from contact_records import ACCOUNT, LIST, START_OF_DAY

from accounts.store import Accounts, Config
from bus.due import DueRows
from bus.inbox import Admitted
from bus.owners import OwnedRows
from bus.stores import Store
from schemas.ids import recipient_key
from schemas.pseudonyms import Pseudonyms
from schemas.records import (
    AccountConfig,
    ContactCommand,
    InboundMessage,
    LinkClick,
    ListConfig,
    MessageSent,
    Receipt,
    Record,
)
from streams.contacts import Contacts
from streams.message_row import due_at, owners_of
from streams.normalize import key_of_receipt
from streams.row import ContactRow, from_bytes
from tests.memory import CODEC, MemoryKafka, ledger

WAIT = 60.0
REGISTERING = AccountConfig(id=ACCOUNT, name="Acme", registers_messages=True)
"""The account, where a report waits for its message."""

NOT_REGISTERING = AccountConfig(id=ACCOUNT, name="Acme")
ONE_LIST = ListConfig(account=ACCOUNT, number=LIST)

_RUNNER = asyncio.Runner()


class Stage:
    """Takes records, a batch each, and gives what they lead to, in order. The clock starts with the day."""

    def __init__(self, *configs: Config) -> None:
        self.kafka = MemoryKafka()
        self.orphaned = 0
        self._view = Accounts()
        for config in configs:
            self._view.put(config)
        self._seconds = 0.0
        self._stores: dict[str, dict[int, Store]] = {"contacts": {}, "messages": {}}
        self.restart()

    def restart(self) -> None:
        """End the worker and start it again."""
        waiting = DueRows(lambda value: due_at(value, int(WAIT * 1000)), clock=self._clock)
        self._contacts = Contacts(
            CODEC,
            self._view,
            self.kafka.table("contacts", self._stores["contacts"]),
            self.kafka.table("messages", self._stores["messages"], waiting, OwnedRows(partial(owners_of, codec=CODEC))),
            wait=WAIT,
            clock=self._clock,
            on_orphaned=self._count_orphaned,
            pseudonyms=Pseudonyms("a secret of the tests"),
        )
        for table in self._contacts.tables:
            _RUNNER.run(table.claim([ledger()]))

    def lose_disk(self) -> None:
        """Start with empty stores: everything comes from the changelogs."""
        self._stores = {"contacts": {}, "messages": {}}
        self.restart()

    def apply(self, *records: Record) -> list[Record]:
        """Apply records; returns what was sent."""
        before = len(self.kafka.sent)
        for record in records:
            self._take(self._admitted(record))
        return self._sent_since(before)

    def apply_under(self, key: bytes, record: Record) -> list[Record]:
        """Apply a record that was written under this key."""
        before = len(self.kafka.sent)
        self._take(self.kafka.admitted("messages", key, CODEC.encode(record)))
        return self._sent_since(before)

    def crash_on(self, record: Record, refusing: str) -> list[Record]:
        """Apply a record while a table's changelog takes nothing, then start again: what was sent before is out."""
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
        """Let time pass, then let happen what is due; returns what was sent."""
        self._seconds += seconds
        before = len(self.kafka.sent)
        batch = self.kafka.batch([], *self._contacts.tables)
        self._contacts.tick(batch)
        _RUNNER.run(batch.make_durable())
        return self._sent_since(before)

    def contact(self, number: str, list_number: str = LIST, account: str = ACCOUNT) -> ContactRow:
        """The row of a contact; of one that nothing is known of, an empty one."""
        value = self._contacts.tables.contacts.get(0, f"{account}:{list_number}:{number}".encode())[1]
        return ContactRow(since=0) if value is None else from_bytes(value)

    def holds(self, text: str) -> list[bytes]:
        """Everything in the stores of the tables in which a text stands, keys and indexes too."""
        stores = [store for table in self._stores.values() for store in table.values()]
        return [key + value for store in stores for key, value in store.own_items(b"") if text.encode() in key + value]

    def _take(self, source: Admitted) -> None:
        batch = self.kafka.batch([], *self._contacts.tables)
        with batch.attempt(source):
            self._contacts.apply(batch, source)
        _RUNNER.run(batch.make_durable())

    def _admitted(self, record: Record) -> Admitted:
        match record:
            case Receipt():
                topic, key = "receipts", key_of_receipt(record)
            case InboundMessage():
                topic, key = "inbound", recipient_key(record.account, record.from_)
            case MessageSent():
                topic, key = "messages", recipient_key(record.account, record.to)
            case LinkClick():
                topic, key = "clicks", recipient_key(record.account, record.to)
            case ContactCommand():
                topic, key = "commands", recipient_key(record.account, record.phone_number)
            case _:
                raise AssertionError(f"{type(record).__name__} is no input of the stage")
        return self.kafka.admitted(topic, key, CODEC.encode(record))

    def _sent_since(self, count: int) -> list[Record]:
        sent = [record.value for record in self.kafka.sent[count:] if not record.topic.startswith("changelog-")]
        return [CODEC.decode(value) for value in sent if value is not None]

    def _clock(self) -> float:
        return START_OF_DAY / 1000 + self._seconds

    def _count_orphaned(self, count: int) -> None:
        self.orphaned += count
