"""A copy whose store fails says so and follows its topic no longer: its process is started again, and reads anew."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path

import pytest

from bus.reading.replica import Replica
from bus.settings import BusSettings
from bus.tables.store import MemoryStore, StoreFailed


class Failing(MemoryStore):
    def get_many(self, keys: Iterable[bytes]) -> list[bytes | None]:
        raise StoreFailed("Corruption: block checksum mismatch")


async def test_a_copy_that_cannot_be_read_is_given_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = BusSettings(data_dir=tmp_path)
    replica = Replica(settings, settings.catalogue["contacts"], Failing())
    replica._task = asyncio.ensure_future(asyncio.Event().wait())  # type: ignore[assignment]
    with caplog.at_level(logging.CRITICAL), pytest.raises(StoreFailed):
        replica.get(b"acme:+18005551234:+15550001111")
    await asyncio.wait([replica._task], timeout=1)  # type: ignore[list-item]
    assert replica._task.cancelled()
    assert replica.problem == "the copy of sms.contacts cannot be read: Corruption: block checksum mismatch"
    assert replica.problem in caplog.text
