"""The webhook sink alone, with misbehaving customers: `python -m bench endpoints`, `tiers`, `parked`, `kills`.

Events and waiting webhooks are written directly to Kafka. The broker and the sinks processes are real; the receiver is
a separate process. Each scenario returns one object of figures, and whether its books balance.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiokafka
from msgspec.structs import replace

from accounts.model import Config
from accounts.store import write_configs
from bench.measure import Arrival, arrivals, percentile, resident_bytes
from bus.clock import now_ms
from bus.embedded.broker import free_port
from bus.producer import Producer, partition_of
from bus.settings import BusSettings
from schemas.codec import Codec
from schemas.ids import recipient_key
from schemas.records import AccountConfig, DeadWebhook, DeliveryEvent, EndpointConfig, WebhookTask
from schemas.registry import registry_for
from schemas.topics import parse_duration
from sinks.webhooks.retry import Retry, TaskHeaders, Tier, placed
from trackly.commands.up.command import Stack

SECRET = "whsec_YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtMTIzNA=="  # noqa: S105 - a secret of the benchmark alone
Figures = dict[str, Any]


@dataclass
class World:
    """A broker, sinks, and a receiver."""

    stack: Stack
    settings: BusSettings
    producer: Producer
    codec: Codec
    receiver: str
    arrivals_file: Path

    async def configure(self, endpoints: Iterable[EndpointConfig]) -> None:
        """Write endpoints and their accounts, and wait until sinks have read them."""
        configs: list[Config] = []
        for endpoint in endpoints:
            configs += [AccountConfig(id=endpoint.account, name=endpoint.account), endpoint]
        await write_configs(self.producer, self.settings, self.codec, configs)
        await asyncio.sleep(3)

    def endpoint(self, account: str, kind: str = "ok") -> EndpointConfig:
        """Return an account's endpoint with a behavior of `bench.receiver`."""
        url = f"{self.receiver}/{kind}/{account}"
        return EndpointConfig(account=account, id="crm", url=url, secret=SECRET, events=("delivery",))

    async def send(self, first: int, count: int, rate: float, accounts: list[str]) -> dict[str, int]:
        """Write events at a rate (0: at once), to the accounts in turn; returns monotonic ns by event id."""
        topic = self.settings.catalogue["delivery"].name
        sent, futures, started = {}, [], time.monotonic()
        for number in range(first, first + count):
            wait = started + (number - first) / rate - time.monotonic() if rate else 0
            if wait > 0:
                await asyncio.sleep(wait)
            elif number % 100 == 0:
                await asyncio.sleep(0)
            event = _event(number, accounts[number % len(accounts)])
            sent[event.event_id] = time.monotonic_ns()
            key = recipient_key(event.account, event.to or "")
            futures.append(await self.producer.send(topic, self.codec.encode(event), key=key))
        await asyncio.gather(*futures)
        return sent

    def arrivals(self) -> list[Arrival]:
        """Return everything that has arrived so far."""
        return arrivals(self.arrivals_file)

    async def until(self, enough: Callable[[list[Arrival]], bool], timeout: float) -> list[Arrival]:
        """Return what has arrived once that is enough, or after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not enough(found := self.arrivals()) and time.monotonic() < deadline:
            await asyncio.sleep(0.5)
        return found

    def memory(self) -> float:
        """Return the memory of all sinks processes, in MiB."""
        services = self.stack.supervisor.services.values()
        held = sum(resident_bytes(s.process.pid) for s in services if s.name.startswith("sinks") and s.process)
        return held / (1 << 20)


def _event(number: int, account: str) -> DeliveryEvent:
    return DeliveryEvent(
        event_id=f"evt_{number}",
        account=account,
        message_id=f"bench-{number}",
        provider_message_id=f"p-{number}",
        provider="infobip",
        to=f"+1555{number % 50_000:07d}",
        list_number="+18005551234",
        status="delivered",
        status_detail="DELIVERED_TO_HANDSET",
        status_class="delivered",
        provider_code="5",
        final=True,
        timestamp=1_705_314_600_000,
    )


def start_receiver(port: int, out: Path) -> subprocess.Popen[bytes]:
    """Start `bench.receiver` on a port; it empties `out` and records received webhooks there."""
    return subprocess.Popen([sys.executable, "-m", "bench.receiver", str(port), str(out)])


@asynccontextmanager
async def world(schedule: str, sinks: int = 1) -> AsyncIterator[World]:
    """Yield the running setup, with a retry schedule and this many sinks processes."""
    with tempfile.TemporaryDirectory(prefix="trackly-bench-") as name:
        directory = Path(name)
        os.environ |= {
            "TRACKLY_ALLOW_HTTP": "true",
            "TRACKLY_ALLOW_SUBNETS": "127.0.0.0/8",
            "TRACKLY_RETRY_SCHEDULE": schedule,
        }
        stack = Stack(directory, port=free_port(), streams=0, sinks=sinks, fast_broker=False)
        port, out = free_port(), directory / "arrivals.txt"
        receiver = start_receiver(port, out)
        producer: Producer | None = None
        try:
            stack.start(lambda text: print(text, file=sys.stderr))
            settings = BusSettings(
                bootstrap_servers=stack.environment["KAFKA_BOOTSTRAP_SERVERS"],
                partitions=int(stack.environment.get("TRACKLY_PARTITIONS", 12)),
                data_dir=directory,
            )
            producer = Producer(settings, linger_ms=5)
            await producer.start()
            yield World(stack, settings, producer, Codec(registry_for(None)), f"http://127.0.0.1:{port}", out)
        finally:
            if producer is not None:
                await producer.stop()
            receiver.send_signal(signal.SIGTERM)
            receiver.wait(10)
            stack.stop()


def _waits(sent: dict[str, int], found: Iterable[Arrival], names: set[str]) -> list[float]:
    first: dict[str, int] = {}
    for arrival in found:
        if arrival.endpoint in names and arrival.webhook_id in sent:
            first.setdefault(arrival.webhook_id, arrival.at)
    return [(at - sent[event_id]) / 1e6 for event_id, at in first.items()]


async def endpoints(seconds: float) -> Figures:
    """Send one event per second to each of 1,000 endpoints."""
    accounts = [f"one{number}" for number in range(1_000)]
    async with world("1m,5m") as bench:
        await bench.configure(bench.endpoint(name) for name in accounts)
        await bench.send(0, 2_000, 1_000, accounts)
        memory = [bench.memory()]
        sending = asyncio.create_task(bench.send(2_000, int(1_000 * seconds), 1_000, accounts))
        while not sending.done():
            await asyncio.sleep(5)
            memory.append(bench.memory())
        sent = await sending
        found = await bench.until(lambda found: len(found) >= len(sent) + 2_000, 30)
        waits = _waits(sent, found, set(accounts))
        return {
            "events": len(sent),
            "missing": len(sent) - len(waits),
            "repeated": len(found) - len({arrival.webhook_id for arrival in found}),
            "p50_ms": round(percentile(waits, 0.5), 1),
            "p99_ms": round(percentile(waits, 0.99), 1),
            "memory_mib": [round(each) for each in memory],
            "ok": len(waits) == len(sent),
        }


async def _park(
    bench: World,
    topic_id: str,
    tier: str,
    count: int,
    due: Callable[[int], int],
    accounts: list[str],
    parked_at: int | None = None,
) -> dict[str, int]:
    """Write waiting webhooks; `due(number)` is in ms since 1970 UTC. Returns due times by event id."""
    topic = bench.settings.catalogue[topic_id]
    partitions = await bench.producer.partitions(topic.name)
    step = Retry(Tier(tier, parse_duration(tier)), 2)
    found, futures = {}, []
    for number in range(count):
        account = accounts[number % len(accounts)]
        event_id = f"evt_{account}_{due(number)}_{number}"
        task = WebhookTask(f"{account}/crm", event_id, "delivery", b'{"event":"delivery"}' * 15, None, f"+1{number}")
        partition, _ = placed(step, f"{task.endpoint}/{task.contact}", partitions)
        headers = TaskHeaders(2, 1, due(number), "bench/0/0", parked_at=parked_at).encode()
        value, key = bench.codec.encode(task), task.endpoint.encode()
        futures.append(await bench.producer.send(topic.name, value, key=key, headers=headers, partition=partition))
        found[event_id] = due(number)
        if number % 100 == 0:
            await asyncio.sleep(0)
    await asyncio.gather(*futures)
    return found


async def _records(bench: World, topic: str) -> list[tuple[WebhookTask | DeadWebhook, int]]:
    """Return everything on a topic of webhooks (catalogue short name), with the time of each record in ms."""
    entry = bench.settings.catalogue[topic]
    consumer = aiokafka.AIOKafkaConsumer(group_id=None, auto_offset_reset="earliest", **bench.settings.aiokafka())
    await consumer.start()
    consumer.assign([aiokafka.TopicPartition(entry.name, number) for number in range(entry.partitions)])
    await consumer.seek_to_beginning()
    found: list[tuple[WebhookTask | DeadWebhook, int]] = []
    quiet = 0
    while quiet < 4:
        batches = await consumer.getmany(timeout_ms=500)
        quiet = 0 if batches else quiet + 1
        for record in (record for batch in batches.values() for record in batch):
            webhook = bench.codec.decode(record.value)
            assert isinstance(webhook, WebhookTask | DeadWebhook)
            found.append((webhook, record.timestamp))
    await consumer.stop()
    return found


async def tiers(seconds: float) -> Figures:
    """Release 10,000 webhooks due in one second, then 50,000 due in one minute, as after an outage."""
    accounts = [f"hundred{number}" for number in range(100)]
    results: Figures = {"ok": True}
    for name, tier, count, spread in (
        ("10,000 in 1 s", "30s", 10_000, 1_000),
        ("50,000 in 60 s", "1m", 50_000, 60_000),
    ):
        async with world(tier) as bench:
            await bench.configure(bench.endpoint(account) for account in accounts)
            start = now_ms() + 20_000
            due = await _park(
                bench,
                f"webhooks_retry.{tier}",
                tier,
                count,
                lambda n, s=start, w=spread, c=count: s + n * w // c,
                accounts,
            )
            memory = [bench.memory()]
            offset = time.time_ns() / 1e6 - time.monotonic_ns() / 1e6
            waiting = asyncio.create_task(bench.until(lambda found, c=count: len(found) >= c, 150))
            while not waiting.done():
                await asyncio.sleep(5)
                memory.append(bench.memory())
            found = await waiting
            released: dict[str, list[int]] = defaultdict(list)
            for webhook, at in await _records(bench, "webhooks_due"):
                released[webhook.event_id].append(at)
            late = [times[0] - due[event_id] for event_id, times in released.items()]
            arrived = {arrival.webhook_id: arrival.at / 1e6 + offset - due[arrival.webhook_id] for arrival in found}
            result = {
                "missing": count - len(arrived),
                "early": sum(each < 0 for each in late) + sum(each < -1 for each in arrived.values()),
                "released_twice": sum(len(times) > 1 for times in released.values()),
                "arrived_twice": len(found) - len(arrived),
                "released_late_ms": {"p50": percentile(late, 0.5), "p99": percentile(late, 0.99), "max": max(late)},
                "arrived_late_ms": {
                    "p50": round(percentile(list(arrived.values()), 0.5)),
                    "p99": round(percentile(list(arrived.values()), 0.99)),
                    "max": round(max(arrived.values())),
                },
                "memory_mib": [round(each) for each in memory],
            }
            results[name] = result
            bad = result["missing"] or result["early"] or result["released_twice"] or result["arrived_twice"]
            results["ok"] = results["ok"] and not bad and max(late) <= 2_000
    return results


async def parked(seconds: float) -> Figures:
    """Check 100,000 webhooks of a paused endpoint while another endpoint's retries become due, on the same partition of
    due webhooks; then resume the first endpoint.
    """
    count, retries, result = 100_000, 150, Figures()
    async with world("5s,20s") as bench:
        number_of = partial(partition_of, partitions=bench.settings.partitions)
        names = [f"other{number}" for number in range(1_000)]
        other = next(name for name in names if number_of(f"{name}/crm".encode()) == number_of(b"dead/crm"))
        paused = replace(bench.endpoint("dead"), enabled=False)
        await bench.configure([paused, bench.endpoint(other)])
        now = now_ms()
        await _park(bench, "webhooks_parked", "20s", count, lambda n: now + 20_000, ["dead"], parked_at=now)
        for phase in ("paused", "resumed"):
            if phase == "resumed":
                await bench.configure([bench.endpoint("dead")])
            start, first = now_ms() + 5_000, len(bench.arrivals())
            due = await _park(bench, "webhooks_retry.20s", "20s", retries, lambda n, s=start: s + 100 * n, [other])
            offset = time.time_ns() / 1e6 - time.monotonic_ns() / 1e6

            def complete(found: list[Arrival], first: int = first) -> bool:
                return sum(arrival.endpoint == other for arrival in found[first:]) >= retries

            found = (await bench.until(complete, 90))[first:]
            late = [a.at / 1e6 + offset - due[a.webhook_id] for a in found if a.endpoint == other]
            result[phase] = {
                "missing": retries - len(late),
                "late_ms": {"p50": round(percentile(late, 0.5)), "max": round(max(late, default=0))},
            }
        found = await bench.until(lambda found: len(found) >= count + 2 * retries, count / 500)
        result["parked_missing"] = count - len({a.webhook_id for a in found if a.endpoint == "dead"})
        phases = (result["paused"], result["resumed"])
        lost = result["parked_missing"] or any(phase["missing"] for phase in phases)
        result["ok"] = not lost and all(phase["late_ms"]["max"] <= 1_000 for phase in phases)
    return result


async def kills(seconds: float) -> Figures:
    """Kill two sinks processes with SIGKILL at random moments, while a third of one endpoint's answers are 503."""
    accounts = [f"ten{number}" for number in range(10)]
    chance = random.Random(7)
    async with world("1s,2s,4s,8s,16s,32s", sinks=2) as bench:
        await bench.configure(bench.endpoint(a, "flaky" if n < 3 else "ok") for n, a in enumerate(accounts))
        sending = asyncio.create_task(bench.send(0, int(300 * seconds), 300, accounts))
        services = [s for s in bench.stack.supervisor.services.values() if s.name.startswith("sinks")]
        killed = 0
        while not sending.done():
            await asyncio.sleep(chance.uniform(1, 8))
            victim = chance.choice(services)
            if victim.process is not None and victim.is_alive():
                victim.process.kill()
                victim.process.wait()
                killed += 1
            await asyncio.sleep(chance.uniform(0, 1))
            victim.start()
        sent = await sending

        # By then, everything not accepted has used up its attempts: the delays add up to 63 s.
        def complete(found: list[Arrival]) -> bool:
            return {arrival.webhook_id for arrival in found if arrival.status == 204} >= sent.keys()

        found = await bench.until(complete, 120)
        taken = Counter(arrival.webhook_id for arrival in found if arrival.status == 204)
        bodies: dict[str, set[str]] = defaultdict(set)
        for arrival in found:
            bodies[arrival.webhook_id].add(arrival.crc)
        dead = {webhook.event_id for webhook, _ in await _records(bench, "webhooks_dead")}
        missing = len(sent.keys() - taken.keys() - dead)
        differ = sum(len(crcs) > 1 for crcs in bodies.values())
        foreign = len(taken.keys() - sent.keys())
        return {
            "kills": killed,
            "events": len(sent),
            "dead_letters": len(dead),
            "missing": missing,
            "taken_twice": sum(count > 1 for count in taken.values()),
            "bodies_that_differ": differ,
            "unknown_ids": foreign,
            "ok": not (missing or differ or foreign),
        }


SCENARIOS: dict[str, tuple[Callable[[float], Awaitable[Figures]], float]] = {
    "endpoints": (endpoints, 60),
    "tiers": (tiers, 0),
    "parked": (parked, 0),
    "kills": (kills, 120),
}
"""Scenario by name, and its default duration in seconds."""
