"""Loads on a whole `trackly up`, with one report per request, and their cost."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import aiohttp
import uvloop

from bench.build import ROOT, Running, Snapshot
from bench.measure import arrival_times, percentile, resident_bytes, sent_times
from bench.webhooks import SECRET, start_receiver
from bus.embedded.broker import free_port

ENDPOINTS = 10
BAD = {6: "hole", 7: "slow", 8: "reset", 9: "big"}
"""The behavior of the four bad endpoints of ten (`bench.receiver`)."""

WIDTH = 64
BARE_WIDTH = 16
PACED_SECONDS = 5.0
QUIET_AFTER = 10.0

Figures = dict[str, Any]


@dataclass(frozen=True)
class Load:
    """One load: `rate` 0 means as fast as answers arrive. `to`: one account, `ten` sound ones, or ten with four
    `bad`.
    """

    name: str
    count: int
    rate: float
    to: Literal["one", "ten", "bad"] = "one"

    @property
    def accounts(self) -> list[str]:
        """Return the accounts whose endpoints get the webhooks, in turn."""
        return ["one"] if self.to == "one" else [f"{self.to}{number}" for number in range(ENDPOINTS)]

    def is_measured(self, message_id: str) -> bool:
        """Whether a message goes to an endpoint that stays sound."""
        return self.to == "one" or int(message_id.partition("-")[2]) % ENDPOINTS not in BAD


class Bench:
    """A running build under load, and its receiver."""

    def __init__(self, running: Running, directory: Path) -> None:
        self._running = running
        self._directory = directory
        self.receiver_port = free_port()
        self._first = 0

    def configure(self) -> None:
        """Create one account with one endpoint, ten with a sound one each, and ten of which four have a bad one."""
        text = ""
        for to in ("one", "ten", "bad"):
            for number, account in enumerate(Load("", 0, 0, to).accounts):
                kind = BAD.get(number, "ok") if to == "bad" else "ok"
                text += (
                    f'[[accounts]]\nid = "{account}"\nname = "{account}"\n[[accounts.lists]]\nnumber = "+18005551234"\n'
                    f'[[accounts.endpoints]]\nid = "crm"\nsecret = "{SECRET}"\nevents = ["delivery"]\n'
                    f'url = "http://127.0.0.1:{self.receiver_port}/{kind}/{account}"\n'
                )
        self._running.apply(text)

    def run(self, load: Load, warm: float = 0.0) -> tuple[Figures, list[float]]:
        """Post, wait until every webhook has arrived, and report, including the times from callback to webhook, in ms.

        Before that, it posts the same for `warm` seconds without measuring, while the JVM compiles.
        """
        if warm:
            self.run(Load(load.name, int(warm * (load.rate or 1_000)), load.rate, load.to))
        with self.receiving() as arrived_file:
            before = self._running.look()
            sent = self.post(load)
            expected = {message for message in sent if load.is_measured(message)}
            finished = self.wait(arrived_file, expected)
            self._running.settle()
            after = self._running.look()
        arrived, repeated = arrival_times(arrived_file)
        done = expected & arrived.keys()
        waits = [(arrived[message] - sent[message]) / 1e6 for message in done]
        result: Figures = {
            "load": load.name if load.to == "one" else f"{load.name} to {load.to}",
            "events_per_second": round(len(sent) / (finished - min(sent.values()) / 1e9)),
            "p50_ms": round(percentile(waits, 0.5), 1),
            "p99_ms": round(percentile(waits, 0.99), 1),
            **costs(before, after, len(sent), "us_an_event", 1e6),
            "ledger": {
                "posted": load.count,
                "stored": len(sent),
                "expected_at_sound_endpoints": len(expected),
                "arrived": len(done),
                "missing": len(expected - arrived.keys()),
                "repeated": repeated,
            },
        }
        return result, waits

    def post(self, load: Load) -> dict[str, int]:
        """Post callbacks; returns when each was sent (monotonic ns), by message id."""
        sent_file = self._directory / "sent.json"
        words = [self._running.port, ",".join(load.accounts), self._first, load.count, load.rate, WIDTH, sent_file]
        command = [sys.executable, "-m", "bench.loader", *map(str, words)]
        subprocess.run(command, cwd=ROOT, check=True, timeout=load.count / 50 + 60)
        self._first += load.count
        return sent_times(sent_file)

    @contextmanager
    def receiving(self) -> Iterator[Path]:
        """Run the receiver of webhooks; yields the file that it writes."""
        arrived_file = self._directory / "arrived.txt"
        with receiver(self.receiver_port, arrived_file):
            yield arrived_file

    def idle(self, seconds: float) -> Figures:
        """Measure the cost of idling."""
        with self._running.quiet():
            before = self._running.look()
            time.sleep(seconds)
            after = self._running.look()
        return {"load": "idle", **costs(before, after, after.at - before.at, "ms_a_second", 1e3)}

    def grow(self, step: int, steps: int) -> Iterator[Figures]:
        """Post as fast as possible, and report every process's memory after each step."""
        for number in range(1, steps + 1):
            result, _ = self.run(Load("growth", step, 0))
            held = {name: round(resident_bytes(pid) / (1 << 20)) for name, pid in self._running.pids.items()}
            yield {**result, "load": f"after {number * step:,} events", "mib": held}

    def wait(self, arrived_file: Path, expected: set[str]) -> float:
        """Wait until all have arrived or nothing more arrives; returns when the last one arrived."""
        seen, last = -1, time.monotonic()
        while time.monotonic() - last < QUIET_AFTER:
            arrived, _ = arrival_times(arrived_file)
            if len(arrived) != seen:
                seen, last = len(arrived), time.monotonic()
            if expected <= arrived.keys():
                return max(arrived[message] for message in expected) / 1e9
            time.sleep(0.3)
        return last


def costs(before: Snapshot, after: Snapshot, per: float, unit: str, scale: float) -> Figures:
    """Return the work between two snapshots, by service: processor time, Kafka requests, garbage, lateness of the
    loop.
    """
    cpu = {name: used - before.cpu[name] for name, used in after.cpu.items()}
    requests = {kind: (count - before.requests[kind]) / per for kind, count in after.requests.items()}
    kinds: dict[str, float] = {}
    for kind, count in requests.items():
        name = kind.partition(" ")[2]
        kinds[name] = kinds.get(name, 0.0) + count
    return {
        f"cpu_{unit}": {name: round(scale * used / per) for name, used in cpu.items()},
        "all": round(scale * sum(cpu.values()) / per),
        "compiling": round(scale * (after.compiling - before.compiling) / per),
        "requests": {name: round(count, 3) for name, count in sorted(kinds.items()) if count >= 0.001},
        "requests_by_service": {name: round(count, 3) for name, count in sorted(requests.items()) if count >= 0.001},
        "collecting": {
            name: round(scale * (used - before.collecting.get(name, 0.0)) / per)
            for name, used in after.collecting.items()
        },
        "longest_collection_ms": _longest(after.pauses, before.at),
        "longest_lag_ms": _longest(after.lags, before.at),
    }


def _longest(found: Mapping[str, list[tuple[float, float]]], since: float) -> dict[str, int]:
    return {name: round(max((ms for at, ms in each if at > since), default=0)) for name, each in found.items()}


@contextmanager
def receiver(port: int, out: Path) -> Iterator[None]:
    """Yield a `bench.receiver` that writes to `out`."""
    out.write_text("")
    process, ends = start_receiver(port, out), time.monotonic() + 20
    try:
        while not listens(port) and time.monotonic() < ends:
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def listens(port: int) -> bool:
    """Whether something listens on a loopback port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def bare_post_us(directory: Path, rate: float = 0) -> int:
    """Return the processor time of a bare aiohttp POST, in us: as fast as answers arrive, or `rate` per second.

    The same POST takes several times as long when it comes alone: each is a wake-up, with cold caches.
    """
    port = free_port()
    with receiver(port, directory / "bare.txt"):
        uvloop.run(_post(port, 2_000))
        return round(uvloop.run(_paced(port, int(PACED_SECONDS * rate), rate) if rate else _post(port, 15_000)))


async def _post(port: int, count: int) -> float:
    async with aiohttp.ClientSession() as session:
        left = iter(range(count))

        async def loop() -> None:
            for _ in left:
                await _bare(session, port)

        before = time.process_time()
        await asyncio.gather(*(loop() for _ in range(BARE_WIDTH)))
        return 1e6 * (time.process_time() - before) / count


async def _paced(port: int, count: int, rate: float) -> float:
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as posts:
        before, began = time.process_time(), time.monotonic()
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            posts.create_task(_bare(session, port))
        return 1e6 * (time.process_time() - before) / count


async def _bare(session: aiohttp.ClientSession, port: int) -> None:
    async with session.post(
        f"http://127.0.0.1:{port}/ok/bare", data=b'{"event":"delivery","message_id":"bare"}'
    ) as answer:
        await answer.read()
