"""`python -m bench checks`: the cost of asking who may be texted, 1,000 numbers at a time.

A console of its own on a real broker, with contacts (a third of them out), places that the account gave, registered
messages that count against a cap, and every rule on. Asks one request after the other, then 50 a second. For both: the
console's processor time a request, which says most on a machine that is shared, and the time of a request by the clock.
What one process cannot answer in time waits, and is in the times of the second load; --consoles has several share it.
With --keep, the account keeps its answers: each is on Kafka before it is given.

Exit code 1 when a request costs too much, or p95 of the first load is over the bound. With --only-cost, only the cost
counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from itertools import cycle
from pathlib import Path
from typing import Any

import aiokafka
import httpx
from msgspec.structs import replace

from accounts.keys import new_key
from accounts.store import write_configs, write_key
from bench.measure import CpuMeter, percentile
from bus.admin import Admin
from bus.clock import now_ms
from bus.embedded.broker import EmbeddedKafka, free_port
from bus.producer import Producer
from bus.settings import BusSettings
from hours.rules import all_rules
from schemas.cloudevents import event_headers
from schemas.codec import Codec
from schemas.ids import contact_key, recipient_key
from schemas.records import AccountConfig, ContactPlace, ContactState, ListConfig, MessageSent, Record
from schemas.registry import registry_for
from trackly.commands.up.supervisor import Service

NUMBERS = 1_000
BOUND_MS = 60.0
"""Maximum p95 of a request of this many numbers, in milliseconds of wall time."""

COST_MS = 40.0
"""Maximum processor time of a request, so that two cores can handle 50 per second."""

RATE = 50
LIST = "+18005551234"
ACCOUNT = AccountConfig(
    id="acme",
    name="Acme",
    sending_rules=tuple(dict.fromkeys(rule.set for rule in all_rules())),
    sending_from="08:00",
    sending_to="22:00",
    sending_cap=5,
    sending_rule_caps=True,
)


def main(arguments: list[str]) -> int:
    """Fill, serve, ask; returns 1 if it costs too much."""
    parser = argparse.ArgumentParser(prog="bench checks", description=__doc__)
    parser.add_argument("--contacts", type=int, default=200_000)
    parser.add_argument("--requests", type=int, default=200, help="one after the other")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to send 50 requests per second")
    parser.add_argument("--consoles", type=int, default=1, help="processes that are asked in turn")
    parser.add_argument("--keep", action="store_true", help="keep every answer as evidence")
    parser.add_argument("--json", action="store_true", help="print a JSON object per load")
    parser.add_argument("--only-cost", action="store_true", help="ignore wall time: the machine is busy")
    options = parser.parse_args(arguments)
    numbers = made_up(options.contacts)
    account = replace(ACCOUNT, keeps_answers=options.keep)
    with (
        tempfile.TemporaryDirectory(prefix="trackly-bench-") as home,
        _consoles(Path(home), account, numbers, options.consoles) as (bases, key, pids),
    ):
        loads = asyncio.run(_ask(bases, key, pids, numbers, options.requests, options.seconds))
    for load in loads:
        print(json.dumps(load) if options.json else "  ".join(f"{name} {value}" for name, value in load.items()))
    slow = not options.only_cost and (loads[0]["p95_ms"] > BOUND_MS or loads[0]["refused"])
    return 1 if slow or any(load["cpu_ms"] > COST_MS for load in loads) else 0


def made_up(count: int) -> list[str]:
    """Return numbers like a sender's: from every U.S. area code, and one in ten from other countries."""
    chance = random.Random(7)
    states = tomllib.loads(files("hours").joinpath("area_codes.toml").read_text("utf-8"))["states"]
    areas = [area for codes in states.values() for area in codes]
    others = ("+3361", "+4474001", "+4915112", "+5511987", "+614123")
    found = set()
    while len(found) < count:
        if chance.random() < 0.9:
            found.add(f"+1{chance.choice(areas)}{chance.randint(2, 9)}{chance.randint(0, 999_999):06}")
        else:
            begin = chance.choice(others)
            found.add(begin + "".join(chance.choices("0123456789", k=12 - len(begin))))
    return sorted(found)


@contextmanager
def _consoles(
    directory: Path, account: AccountConfig, numbers: list[str], count: int
) -> Iterator[tuple[list[str], str, list[int]]]:
    """Yield the base URLs of consoles that have read everything, a key of the account, and their processes."""
    with EmbeddedKafka(directory / "kafka") as kafka:
        os.environ |= {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "TRACKLY_DATA_DIR": str(directory),
            "TRACKLY_PARTITIONS": "4",
            "TRACKLY_API_RATE": "100000",
            "TRACKLY_API_BURST": "100000",
        }
        settings = BusSettings()
        with Admin(settings) as admin:
            admin.apply(settings.catalogue)
        key = asyncio.run(_fill(settings, account, numbers))
        consoles = [_service(directory, f"console-{number}") for number in range(count)]
        try:
            for console in consoles:
                console.start()
            deadline = time.monotonic() + 120
            for console in consoles:
                while not (console.is_ready() and _answers(console.health_port or 0, key, numbers[:1])):
                    if time.monotonic() > deadline:
                        sys.exit(f"the console does not answer:\n{console.last_lines(20)}")
                    time.sleep(0.5)
            pids = [console.process.pid for console in consoles if console.process is not None]
            yield [f"http://127.0.0.1:{console.health_port}" for console in consoles], key, pids
        finally:
            for console in consoles:
                console.stop()


def _service(directory: Path, name: str) -> Service:
    port = free_port()
    environment = {"TRACKLY_CONSOLE_PORT": str(port), "TRACKLY_INSTANCE_ID": name}
    return Service(name, ["console"], environment, directory / f"{name}.log", port)


def _answers(port: int, key: str, numbers: list[str]) -> bool:
    url = f"http://127.0.0.1:{port}/api/contacts/check"
    question = {"list_number": LIST, "numbers": numbers}
    return httpx.post(url, headers={"X-Api-Key": key}, json=question, timeout=20).status_code == 200


async def _fill(settings: BusSettings, account: AccountConfig, numbers: list[str]) -> str:
    codec, producer = Codec(registry_for(settings.schema_registry_url)), Producer(settings, linger_ms=5)
    await producer.start()
    await write_configs(producer, settings, codec, [account, ListConfig(account="acme", number=LIST)])
    key, secret = new_key("acme", "bench")
    await write_key(producer, settings, codec, key)
    now = now_ms()
    records = list(_records(numbers, now))
    for begin in range(0, len(records), 5_000):
        sent = [
            await producer.send(
                settings.catalogue[topic].name,
                codec.encode(record),
                key=at,
                headers=event_headers(record, f"evt_{number}", now),
            )
            for number, (topic, at, record) in enumerate(records[begin : begin + 5_000], begin)
        ]
        await asyncio.gather(*sent)
    await producer.stop()
    await _taken(settings, "messages")
    return secret


def _records(numbers: list[str], now: int) -> Iterator[tuple[str, bytes, Record]]:
    """Half of the numbers have a record, a tenth have a place, and every eighth got two messages."""
    for n, number in enumerate(numbers):
        recipient = recipient_key("acme", number)
        if n % 2:
            name, active = contact_key("acme", LIST, number), n % 3 > 0
            yield (
                "contacts",
                name.encode(),
                ContactState(
                    contact=name,
                    account="acme",
                    list_number=LIST,
                    phone_number=number,
                    active=active,
                    failures=n % 3,
                    reason=None if active else "message",
                    since=now - n,
                    last_event_id=f"evt_{n}",
                ),
            )
        if n % 10 == 0:
            yield "places", recipient, ContactPlace(account="acme", phone_number=number, state="TX", given_at=now)
        if n % 8 == 0:
            for name in ("a", "b"):
                ids = {"message_id": f"{n}{name}", "provider": "infobip", "provider_message_id": f"{n}{name}"}
                yield (
                    "messages",
                    recipient,
                    MessageSent(**ids, account="acme", list_number=LIST, to=number, sent_at=now - 3_600_000),
                )


async def _taken(settings: BusSettings, topic: str) -> None:
    """Commit offsets on behalf of streams, which is not running: the console asks for its progress."""
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers, group_id=settings.group("streams"), enable_auto_commit=False
    )
    await consumer.start()
    name = settings.catalogue[topic].name
    places = [aiokafka.TopicPartition(name, partition) for partition in range(settings.catalogue[topic].partitions)]
    consumer.assign(places)
    await consumer.commit(await consumer.end_offsets(places))
    await consumer.stop()


async def _ask(
    bases: list[str], key: str, pids: list[int], numbers: list[str], requests: int, seconds: float
) -> list[dict[str, Any]]:
    refused: list[bool] = []
    urls = cycle(f"{base}/api/contacts/check" for base in bases)
    async with httpx.AsyncClient(headers={"X-Api-Key": key}, timeout=60) as client:

        async def ask() -> float:
            question = {"list_number": LIST, "numbers": random.sample(numbers, NUMBERS)}
            began = time.perf_counter()
            answer = await client.post(next(urls), json=question)
            took = (time.perf_counter() - began) * 1000
            refused.append(answer.status_code == 503)
            if answer.status_code not in (200, 503):
                sys.exit(f"a check was answered {answer.status_code}: {answer.text[:500]}")
            return took

        for _ in range(20):
            await ask()
        refused.clear()
        meter = CpuMeter({"console": pids})
        loads = [_load("one after the other", [await ask() for _ in range(requests)], meter, refused)]
        refused.clear()
        meter, began, asked = CpuMeter({"console": pids}), time.monotonic(), []
        for number in range(int(RATE * seconds)):
            await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
            asked.append(asyncio.create_task(ask()))
        loads.append(_load(f"{RATE} a second", list(await asyncio.gather(*asked)), meter, refused))
        return loads


def _load(name: str, took: list[float], meter: CpuMeter, refused: list[bool]) -> dict[str, Any]:
    cost = meter.used()["console"] / len(took) * 1000
    times = {f"p{share}_ms": round(percentile(took, share / 100), 1) for share in (50, 95, 99)}
    counts = {"requests": len(took), "refused": sum(refused), "numbers": NUMBERS}
    return {"load": name, **counts, "cpu_ms": round(cost, 1), **times}
