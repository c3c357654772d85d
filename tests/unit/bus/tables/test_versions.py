"""Of two records of a key, the higher version counts, whichever was written last: in tables and in copies."""

from __future__ import annotations

import asyncio

import pytest

from bus.clock import now_ms
from bus.ledger import TopicPartition
from bus.memory import MemoryKafka, Record, ledger
from bus.reading.replica import Replica
from bus.settings import BusSettings
from bus.tables.store import MemoryStore, Store
from bus.tables.table import Stale, Table
from bus.tables.versions import GONE_MS, forget_gone, gone, known_version, pack, version_header, version_in

KEY = b"acme:+18005551234:+15551230001"


def test_the_header_tells_the_version() -> None:
    assert version_in([("other", b"1"), version_header(7)]) == 7
    assert version_in([("other", b"1")]) is None
    assert version_in([("version", b"seven")]) is None


def test_the_version_of_a_deleted_row_is_known_for_a_while_without_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    store.write(gone(KEY, 7), None)
    assert known_version(store, KEY) == 7
    assert all(b"15551230001" not in key + value for key, value in store.own_items(b""))
    forget_gone(store)
    assert known_version(store, KEY) == 7
    later = now_ms() + GONE_MS + 1
    monkeypatch.setattr("bus.tables.versions.now_ms", lambda: later)
    forget_gone(store)
    assert known_version(store, KEY) == 0


class TestTable:
    """Write like a worker that was cut off, after its successor."""

    def claimed(self, kafka: MemoryKafka, store: Store) -> tuple[Table, list[Stale]]:
        table = kafka.table("contacts", {0: store})
        return table, asyncio.run(table.claim([ledger()]))

    def written(self, *rows: tuple[int, bytes | None]) -> MemoryKafka:
        kafka = MemoryKafka()
        for version, value in rows:
            packed = None if value is None else pack(version, value)
            headers = [version_header(version)] if value is None else None
            asyncio.run(kafka.send("changelog-contacts", packed, key=KEY, partition=0, headers=headers))
        return kafka

    @pytest.mark.parametrize(
        ("rows", "value"),
        [
            ([(5, b"removed"), (4, b"active")], b"removed"),
            ([(5, b"removed"), (4, None)], b"removed"),
            ([(5, None), (4, b"active")], None),
            ([(3, b"active"), (5, None), (4, b"active")], None),
        ],
    )
    def test_does_not_take_the_older_one(self, rows: list[tuple[int, bytes | None]], value: bytes | None) -> None:
        table, stale = self.claimed(self.written(*rows), MemoryStore())
        assert table.get(0, KEY)[1] == value
        assert stale == [Stale("contacts", 0, KEY, value)]

    @pytest.mark.parametrize("rows", [[(4, b"active"), (5, None)], [(5, None), (6, b"new")], [(5, b"a"), (5, b"b")]])
    def test_takes_the_newer_one(self, rows: list[tuple[int, bytes | None]]) -> None:
        table, stale = self.claimed(self.written(*rows), MemoryStore())
        assert (table.get(0, KEY)[1], stale) == (rows[-1][1], [])

    def test_knows_the_version_of_what_it_deleted_itself(self) -> None:
        kafka, store = MemoryKafka(), MemoryStore()
        table, _ = self.claimed(kafka, store)
        asyncio.run(table.write(0, {KEY: (5, b"active")}))
        asyncio.run(table.write(0, {KEY: (6, None)}))
        assert table.version(0, KEY) == 6
        asyncio.run(kafka.send("changelog-contacts", pack(5, b"active"), key=KEY, partition=0))
        table, stale = self.claimed(kafka, store)
        assert (table.get(0, KEY), stale) == ((0, None), [Stale("contacts", 0, KEY, None)])


class TestReplica:
    def copy(self, *records: tuple[int, bytes | None], apart: bool = False) -> bytes | None:
        """Return a copy's value of a key after records with these versions, read at once or one by one."""
        replica = Replica(BusSettings(), BusSettings().catalogue["contacts"], MemoryStore(), versioned=True)
        log = [
            Record("sms.contacts", 0, offset, KEY, value, headers=(version_header(version),))
            for offset, (version, value) in enumerate(records)
        ]
        for batch in [[record] for record in log] if apart else [log]:
            consumer = MemoryKafka().reader()
            consumer.assign([TopicPartition("sms.contacts", 0)])
            consumer.seek(TopicPartition("sms.contacts", 0), batch[-1].offset + 1)
            replica._consumer = consumer
            replica.positions.setdefault(0, 0)
            asyncio.run(replica._take({None: batch}))
        return replica.get(KEY)

    @pytest.mark.parametrize("apart", [False, True])
    @pytest.mark.parametrize(
        ("records", "value"),
        [
            ([(5, b"removed"), (4, b"active")], b"removed"),
            ([(5, None), (4, b"active")], None),
            ([(5, b"removed"), (4, None)], b"removed"),
            ([(4, b"active"), (5, b"removed")], b"removed"),
            ([(5, b"one"), (5, b"two")], b"two"),
            ([(5, None), (6, b"new")], b"new"),
        ],
    )
    def test_keeps_the_highest_version(
        self, records: list[tuple[int, bytes | None]], value: bytes | None, apart: bool
    ) -> None:
        assert self.copy(*records, apart=apart) == value


@pytest.mark.parametrize("value", [b"", b"-1", b"x", b"1.5", b"1" * 20, b"9" * 5_000, "\u0663".encode()])
def test_a_header_that_is_no_version_is_none(value: bytes) -> None:
    assert version_in([("version", value)]) is None
