"""Rows that batches have decided count as if they were written already."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from bus.memory import MemoryKafka, ledger, make_durable
from bus.tables.count_index import CountedRows
from bus.tables.owner_index import OwnedRows
from bus.tables.table import Indexes, Table
from bus.worker.batch import Batch

WORDS = [b"red", b"blue"]
KEYS = [b"1", b"2", b"3"]
CHANGES = st.dictionaries(st.sampled_from(KEYS), st.none() | st.sampled_from([b"", b"red", b"red blue", b"blue"]))


async def claimed(kafka: MemoryKafka) -> Table:
    """Return a table whose values are words: each is a label and an owner."""
    indexes = Indexes(
        owned=OwnedRows(lambda value: value.split()), counted=CountedRows(lambda key, value: value.split())
    )
    table = kafka.table("t", indexes=indexes)
    await table.claim([ledger()])
    return table


def seen(table: Table, batch: Batch) -> list[object]:
    """Return what a batch sees of the table."""
    rows = batch.rows(table)
    values = [rows.get(0, key) for key in KEYS]
    return [values, [rows.keys_of(0, word) for word in WORDS], [rows.count(0, word) for word in WORDS]]


@given(st.lists(CHANGES, max_size=6), st.lists(st.booleans(), max_size=12))
def test_a_batch_sees_the_same_whether_those_before_it_are_written_or_not(
    changes: list[dict[bytes, bytes | None]], writes: list[bool]
) -> None:
    async def run() -> None:
        kafka = MemoryKafka()
        slow, prompt = await claimed(kafka), await claimed(MemoryKafka())
        decided: list[Batch] = []
        turns = iter(writes)
        for rows in changes:
            batch, model = kafka.batch([], slow), kafka.batch([], prompt)
            for each, table in ((batch, slow), (model, prompt)):
                for key, value in rows.items():
                    each.rows(table).put(0, key, value)
            assert seen(slow, batch) == seen(prompt, model)
            batch.decide()
            decided.append(batch)
            await make_durable(model)
            while decided and next(turns, False):
                await decided.pop(0).rows(slow).write()
            assert seen(slow, kafka.batch([], slow)) == seen(prompt, kafka.batch([], prompt))
        for batch in decided:
            await batch.rows(slow).write()
        assert not slow.in_flight.of(0)
        assert seen(slow, kafka.batch([], slow)) == seen(prompt, kafka.batch([], prompt))

    asyncio.run(run())


async def test_versions_grow_from_one_undecided_batch_to_the_next() -> None:
    kafka = MemoryKafka()
    table = await claimed(kafka)
    versions = []
    for value in (b"red", None, b"blue"):
        batch = kafka.batch([], table, generation=0)
        batch.rows(table).put(0, b"1", value)
        batch.decide()
        versions.append(batch.rows(table).version(0, b"1"))
    assert versions == sorted(set(versions))


async def test_what_will_not_be_written_is_forgotten() -> None:
    kafka = MemoryKafka()
    table = await claimed(kafka)
    batch = kafka.batch([], table)
    batch.rows(table).put(0, b"1", b"red")
    batch.decide()
    table.in_flight.clear()
    assert seen(table, kafka.batch([], table)) == [[None] * 3, [[], []], [0, 0]]
