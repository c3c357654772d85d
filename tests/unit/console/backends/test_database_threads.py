"""A database that does not answer holds up what needs it, and nothing else of the console."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from sqlalchemy import Connection

from console.backends.database import Reads
from database.engine import disposing, open_engine


async def test_queries_that_wait_leave_a_thread_to_who_follows_kafka(tmp_path: Path) -> None:
    answered = threading.Event()

    def wait(_: Connection) -> bool:
        return answered.wait(30)

    with disposing(open_engine(f"sqlite:///{tmp_path / 'console.db'}", read_only=True)) as engine:
        reads = Reads(engine)
        waiting = [asyncio.create_task(reads(wait)) for _ in range(64)]
        try:
            await asyncio.sleep(0.1)
            async with asyncio.timeout(5):
                assert await asyncio.to_thread(lambda: True)
        finally:
            answered.set()
            assert all(await asyncio.gather(*waiting))
