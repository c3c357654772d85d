"""`python -m bench bare`: what an event costs if nothing is done about it, as a floor for the figures of `bench`.

The same processes, hops, acknowledgments, and writes as in `trackly up`, but no checks, rules, Avro, signatures, order,
retries, health checks, or metrics: ingest produces a body and answers once it is acknowledged; streams copies it to a
receipt and the receipt to an event and two rows; sinks posts the event; the read model inserts both into SQLite. It
gets the same load, and posts to the same receiver.

    python -m bench.bare ingest|streams|sinks|read-model BOOTSTRAP PORT DIRECTORY
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
import uvicorn
import uvloop
from aiokafka import AIOKafkaProducer
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from bench.build import ROOT, Running, Snapshot
from bench.loads import Bench, Figures, Load, bare_post_us, listens
from bench.measure import cpu_seconds
from bench.pipeline import WARM_SECONDS
from bench.wire import Client, connections
from bus.clients import new_consumer, started
from bus.embedded.broker import EmbeddedKafka, free_port
from bus.fetching import Consumer, FollowingConsumer
from bus.settings import BusSettings
from ingest.writer import LINGER_MS, STICKY_RECORDS

PARTITIONS = 4
TOPICS = ("raw", "receipts", "events", "contact-rows", "message-rows", "attempts")
SERVICES = ("ingest", "streams", "sinks", "read-model")
COMMIT_EVERY = 1.0
"""Seconds between two commits of offsets, or of rows to SQLite."""

CONNECTIONS = 16
START_TIMEOUT = 120.0


def main(words: list[str]) -> int:
    """Run the loads; exit code 1 if an event is missing."""
    parser = argparse.ArgumentParser(prog="bench bare", description=__doc__)
    parser.add_argument("--rate", type=float, action="append", help="callbacks per second; 0: as fast as answered")
    parser.add_argument("--seconds", type=float, default=20, help="how long each load lasts")
    parser.add_argument("--json", action="store_true", help="print a JSON object per load")
    options = parser.parse_args(words)
    missing = 0
    with tempfile.TemporaryDirectory(prefix="trackly-bench-") as name:
        directory = Path(name)
        bare = bare_post_us(directory)
        with ExitStack() as stack:
            pipeline = Pipeline(directory, stack)
            bench = Bench(pipeline, directory)
            pipeline.begin(bench.receiver_port)
            for rate in options.rate or (0, 500, 100):
                count = int((rate or 1_500) * options.seconds)
                figures, _ = bench.run(Load(f"bare {rate:g}", count, rate), WARM_SECONDS)
                print(json.dumps(figures)) if options.json else show(figures, bare)
                missing += figures["ledger"]["missing"]
    return 1 if missing else 0


def show(figures: Figures, bare: int) -> None:
    """Print the figures of one load; `bare` is the processor time of a bare POST, in us."""
    used = "  ".join(f"{name} {us}" for name, us in figures["cpu_us_an_event"].items())
    print(f"\n{figures['load']}: {figures['events_per_second']} events/s, {figures['ledger']['missing']} missing")
    print(f"  CPU us an event     {used}  all {figures['all']}  ({figures['all'] / bare:.1f} bare POSTs of {bare} us)")
    print(f"  callback to webhook p50 {figures['p50_ms']} ms  p99 {figures['p99_ms']} ms", flush=True)


class Pipeline(Running):
    """The processes, with the interface of a running build."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.port = free_port()
        self._directory = directory
        self._stack = stack
        self._kafka = stack.enter_context(EmbeddedKafka(directory / "kafka"))
        admin = KafkaAdminClient(bootstrap_servers=self._kafka.bootstrap_servers)
        admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in TOPICS])
        admin.close()
        self.pids: dict[str, int] = {}

    def begin(self, receiver_port: int) -> None:
        """Start the services."""
        assert self._kafka.pid is not None
        self.pids["kafka"] = self._kafka.pid
        for name in SERVICES:
            port = self.port if name == "ingest" else receiver_port
            words = [name, self._kafka.bootstrap_servers, str(port), str(self._directory)]
            process = subprocess.Popen([sys.executable, "-m", "bench.bare", *words], cwd=ROOT)
            self._stack.callback(_end, process)
            self.pids[name] = process.pid
        ends = time.monotonic() + START_TIMEOUT
        while not listens(self.port):
            if time.monotonic() > ends:
                raise RuntimeError("ingest does not start")
            time.sleep(0.2)

    def look(self) -> Snapshot:
        """Return the processor time so far."""
        return Snapshot(cpu={name: cpu_seconds(pid) for name, pid in self.pids.items()})


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(30)


async def producing(servers: str, linger_ms: int = 0) -> Any:
    """Return a producer whose `send` returns a future that ends once the record is acknowledged."""
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True, linger_ms=linger_ms)
    return await started(producer)


async def ingest(servers: str, port: int, directory: Path) -> None:
    """Answer once the body is on Kafka."""
    producer = await producing(servers, LINGER_MS)
    numbers = itertools.count()

    async def app(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        await (await producer.send("raw", body, None, next(numbers) // STICKY_RECORDS % PARTITIONS))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    config = uvicorn.Config(app, port=port, lifespan="off", access_log=False, log_level="warning", http="httptools")
    await uvicorn.Server(config).serve()


async def streams(servers: str, port: int, directory: Path) -> None:
    """Copy bodies to receipts, and receipts to events and rows."""
    producer = await producing(servers)

    async def copy(records: dict[Any, list[Any]]) -> None:
        sent = []
        for tp, batch in records.items():
            for record in batch:
                if tp.topic == "raw":
                    item = orjson.loads(record.value)["results"][0]
                    key = item["to"].encode()
                    sent.append(await producer.send("receipts", orjson.dumps(item), key, hash(key) % PARTITIONS))
                    continue
                item = orjson.loads(record.value)
                event = orjson.dumps({"message_id": item["messageId"], "to": item["to"], "status": item["status"]})
                for topic in ("events", "contact-rows", "message-rows"):
                    sent.append(await producer.send(topic, event, record.key, tp.partition))
        await asyncio.gather(*sent)

    await _consume(servers, ("raw", "receipts"), "streams", FollowingConsumer, copy)


async def sinks(servers: str, port: int, directory: Path) -> None:
    """Post events, and write a record about each batch of attempts."""
    producer = await producing(servers)
    head = f"POST /ok/one HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    free, idle = asyncio.Semaphore(CONNECTIONS), list[Client]()

    async def post(body: bytes, webhook_id: str) -> None:
        async with free:
            client = idle.pop() if idle else None
            if client is None or client.is_closed:
                (client,) = await connections("127.0.0.1", port, 1)
            request = f"{head}webhook-id: {webhook_id}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
            await client.post(request)
            idle.append(client)

    async def deliver(records: dict[Any, list[Any]]) -> None:
        posts = [(r.value, f"{tp.partition}-{r.offset}") for tp, batch in records.items() for r in batch]
        await asyncio.gather(*(post(*each) for each in posts))
        await (await producer.send("attempts", orjson.dumps([each for _, each in posts]), None, 0))

    await _consume(servers, ("events",), "sinks", FollowingConsumer, deliver)


async def read_model(servers: str, port: int, directory: Path) -> None:
    """Insert receipts and events."""
    database = sqlite3.connect(directory / "bare.db")
    database.execute("PRAGMA journal_mode=WAL")
    for topic in ("receipts", "events"):
        database.execute(f"CREATE TABLE {topic} (id TEXT PRIMARY KEY, who TEXT, at INTEGER, status TEXT)")
    committed = time.monotonic()

    async def insert(records: dict[Any, list[Any]]) -> None:
        nonlocal committed
        for tp, batch in records.items():
            items = [(orjson.loads(record.value), record.timestamp) for record in batch]
            rows = [(i.get("messageId") or i["message_id"], i["to"], at, i["status"]["name"]) for i, at in items]
            database.executemany(f"INSERT OR REPLACE INTO {tp.topic} VALUES (?, ?, ?, ?)", rows)
        if time.monotonic() - committed >= COMMIT_EVERY:
            database.commit()
            committed = time.monotonic()
        await asyncio.sleep(0.2)

    await _consume(servers, ("receipts", "events"), "read-model", Consumer, insert)


async def _consume(
    servers: str,
    topics: tuple[str, ...],
    group: str,
    kind: type[Consumer],
    handle: Callable[[dict[Any, list[Any]]], Coroutine[Any, Any, None]],
) -> None:
    settings = BusSettings(bootstrap_servers=servers)
    consumer = await started(new_consumer(settings, *topics, kind=kind, group_id=group))
    committed = time.monotonic()
    while True:
        records = await consumer.getmany(timeout_ms=1_000, max_records=2_000)
        if records:
            await handle(records)
        if time.monotonic() - committed >= COMMIT_EVERY:
            await consumer.commit()
            committed = time.monotonic()


if __name__ == "__main__":
    service = {"ingest": ingest, "streams": streams, "sinks": sinks, "read-model": read_model}[sys.argv[1]]
    uvloop.run(service(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])))
