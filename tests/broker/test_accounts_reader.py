"""Settings as services read them from their topics."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import NodeNotReadyError

from accounts.store import AccountsReader, write_configs
from bus.producer import Producer
from bus.settings import BusSettings
from schemas.records import AccountConfig
from tests.cluster import CODEC
from tests.patience import PATIENCE

pytestmark = pytest.mark.broker


async def test_settings_that_were_fetched_when_kafka_failed_are_fetched_again(
    topics: None, bus_settings: BusSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = AccountsReader(bus_settings, CODEC)
    await reader.start()
    followed, failed = reader._followed, []
    take = followed._take

    def fail_once(topic: str, record: Any) -> None:
        if not failed:
            failed.append(record)
            raise NodeNotReadyError
        take(topic, record)

    monkeypatch.setattr(followed, "_take", fail_once)
    producer = Producer(bus_settings)
    await producer.start()
    await write_configs(producer, bus_settings, CODEC, [AccountConfig(id="acme", name="Acme")])
    await producer.stop()
    async with asyncio.timeout(PATIENCE):
        while "acme" not in reader.view.accounts:
            await asyncio.sleep(0.05)
    assert failed
    await reader.stop()
