"""A worker that ends closes its tables, whatever they are doing."""

from __future__ import annotations

import asyncio
from typing import Any

from bus.ledger import Ledger, TopicPartition
from bus.memory import MemoryKafka


async def test_a_look_that_ends_after_the_table_was_closed_finds_nothing() -> None:
    kafka = MemoryKafka()
    table = kafka.table("rows")
    await table.claim([Ledger(TopicPartition("inputs", 0), 0, 1)])

    before = table.ends()
    table.close()
    assert await table.look_again(before, dict.fromkeys(before, 7)) == []


async def test_a_write_that_is_acknowledged_after_the_table_was_closed_is_in_the_changelog() -> None:
    kafka = MemoryKafka()
    kafka.acknowledges = False
    table = kafka.table("rows")
    await table.claim([Ledger(TopicPartition("inputs", 0), 0, 1)])
    write: asyncio.Future[Any] = asyncio.ensure_future(table.write(0, {b"key": (1, b"value")}))
    await asyncio.sleep(0)
    table.close()
    kafka.acknowledge()
    await asyncio.wait_for(write, 2)
    assert [record.key for record in kafka.logs["changelog-rows", 0]] == [b"key"]
