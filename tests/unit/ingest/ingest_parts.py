"""Ingest without Kafka: records are kept in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from bus.memory import CODEC, MemoryKafka
from ingest.app import Ingest, create_app
from ingest.settings import IngestSettings
from schemas.records import AccountConfig, RawCallback


class Door:
    """The service with some accounts. `settings` are ingest's."""

    def __init__(self, directory: Path, *accounts: AccountConfig, **settings: Any) -> None:
        self.kafka = MemoryKafka()
        self.ingest = Ingest(IngestSettings.model_validate({"data_dir": directory, **settings}))
        producer: Any = self.kafka
        self.ingest.writer._producer, self.ingest.writer._partitions = producer, 1
        for account in accounts:
            self.ingest.accounts.view.put(account)
        self.app = create_app(self.ingest.settings, self.ingest)

    async def request(self, method: str, url: str, caller: str = "203.0.113.7", **options: Any) -> httpx.Response:
        """Return the answer to a request from this address."""
        transport = httpx.ASGITransport(self.app, client=(caller, 40_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
            return await client.request(method, url, **options)

    def stored(self) -> list[RawCallback]:
        """Everything that was stored, in order."""
        return [CODEC.decode_as(RawCallback, record.value or b"") for record in self.kafka.sent]

    def counted(self, name: str, answer: str) -> float:
        """Return how many callbacks of a provider, or postbacks of a network, got this answer."""
        labels = {"provider": name, "answer": answer}
        return self.ingest.health.registry.get_sample_value("trackly_ingest_callbacks_total", labels) or 0.0
