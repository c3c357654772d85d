"""Whatever ends an agent's body ends its worker, without moving its offsets: with Faust's own agents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bus.ledger import Ledger, TopicPartition
from bus.memory import MemoryKafka, Record
from bus.worker.app import Worker
from bus.worker.batch import Batch
from bus.worker.inbox import Inbox
from sinks.app import create_app as sinks_app
from sinks.settings import SinksSettings
from sinks.webhooks.sink import WebhookSink
from streams.app import create_app as streams_app
from streams.settings import StreamsSettings

AGENTS = [("normalize", "raw"), ("contacts", "receipts"), ("clicks", "postbacks"), ("webhooks", "delivery")]
"""Every agent, and one of the topics that it reads."""


def worker_of(agent: str, directory: Path) -> Worker:
    """The app that has an agent, connected to Kafka in memory."""
    if agent == "webhooks":
        worker: Any = sinks_app(SinksSettings(data_dir=directory))
    else:
        worker = streams_app(StreamsSettings(data_dir=directory))
    kafka = MemoryKafka()
    worker.records_producer = worker.consumer = kafka
    kafka.on_task_error = _nothing  # type: ignore[attr-defined]
    for table in worker.tables_of_ours:
        table._open_store, table._consumer = kafka.table("any")._open_store, kafka.table("any")._consumer
    if agent == "webhooks":
        worker.webhooks._records = SimpleNamespace(start=_nothing, stop=lambda: None)
    return worker


async def _nothing(*_: object) -> None:
    pass


class Fault:
    """Raises in the body of the agent, outside of the attempts at records, the first time that it has a batch."""

    def __init__(self, error: BaseException) -> None:
        self._error: BaseException | None = error
        self.raised = False

    def __call__(self) -> None:
        if self._error is not None:
            error, self._error, self.raised = self._error, None, True
            raise error


def install(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    def iterate(batch: Batch) -> Iterator[Any]:
        fault()
        return iter(batch.sources)

    async def take(sink: WebhookSink, sources: list[Any]) -> None:
        fault()
        for source in sources:
            source.ledger.settle(source.record.offset)

    monkeypatch.setattr(Batch, "__iter__", iterate)
    monkeypatch.setattr(WebhookSink, "_take", take)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(2_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not happen within 2 s")


def put(inbox: Inbox, ledger: Ledger, count: int) -> None:
    records = [Record(*ledger.tp, ledger.expected + n, b"key", b"junk") for n in range(count)]
    ledger.expected += count
    inbox.put(ledger, records)


@pytest.mark.parametrize(
    "error", [RuntimeError("a bug"), asyncio.CancelledError(), StopAsyncIteration(), GeneratorExit(), MemoryError()]
)
@pytest.mark.parametrize(("name", "topic"), AGENTS)
async def test_an_exception_in_its_body_ends_the_worker_and_settles_nothing(
    name: str, topic: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = worker_of(name, tmp_path)
    fault = Fault(error)
    install(fault, monkeypatch)
    tp = TopicPartition(worker.catalogue[topic].name, 0)
    ledger = Ledger(tp, 0, generation=1)
    worker.consumer.ledgers[tp] = ledger
    inbox = worker.inboxes[tp.topic]
    agent = worker.agents[name]
    await agent.start()
    try:
        put(inbox, ledger, 3)
        await until(lambda: fault.raised)
        # What Faust does next: it looks at its agents, and starts those again that have crashed.
        put(inbox, ledger, 3)
        agent.supervisor.wakeup()
        await until(lambda: worker.crashed)
        await asyncio.sleep(0.05)
        assert ledger.durable == 0
        assert await inbox.wait_idle(0.1), "the stop of the worker waits for the inbox"
    finally:
        await asyncio.wait_for(agent.stop(), 5)
