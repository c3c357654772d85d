"""`make bench`: the whole pipeline under load, one report a request.

Loads: as fast as callbacks are answered, 500 a second, and half of the first to ten endpoints: all sound, then one
that never answers, one that takes 4.9 s, one that resets connections and one that sends 10 MB; twice each, in turn.
For each: events a second, processor time an event for each process and the broker, time from callback to webhook (of
the six that stay sound), and the ledger. Loader and receiver run beside the pipeline on the same machine and are not
counted. `python -m bench NAME` runs one scenario of the webhook sink alone, see bench/webhooks.py.
Beside them stands a bare aiohttp POST loop of the same run, so that figures of different days and machines compare.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import aiohttp
import uvloop

from accounts.store import Config, write_configs
from bench import recovery, sizing
from bench.measure import CpuMeter, arrival_times, percentile, sent_times
from bench.webhooks import SCENARIOS, SECRET, start_receiver
from bus.embedded import free_port
from bus.producer import Producer
from bus.settings import BusSettings
from schemas.codec import Codec
from schemas.records import AccountConfig, EndpointConfig, ListConfig
from schemas.registry import registry_for
from trackly.up import Stack

ENDPOINTS = 10
BAD = {6: "hole", 7: "slow", 8: "reset", 9: "big"}
"""How the bad four of ten behave (`bench.receiver`)."""

MOST_RATIO = 1.5
"""By how much the p99 of sound endpoints may grow when four others are bad."""

WIDTH = 64
QUIET_AFTER = 10.0
WARM_UP = 20_000
"""Events before the first measurement: the broker's JVM compiles itself in the first seconds."""


@dataclass(frozen=True)
class Load:
    """One load: `rate` 0 is as fast as answers come. `to`: one account, `ten` sound ones, or ten with four `bad`."""

    name: str
    count: int
    rate: float
    to: Literal["one", "ten", "bad"] = "one"

    @property
    def accounts(self) -> list[str]:
        """Accounts whose endpoints get the webhooks, in turn."""
        return ["one"] if self.to == "one" else [f"{self.to}{number}" for number in range(ENDPOINTS)]

    def is_measured(self, message_id: str) -> bool:
        """Whether a message goes to an endpoint that stays sound."""
        return self.to == "one" or int(message_id.partition("-")[2]) % ENDPOINTS not in BAD


class Bench:
    """The pipeline, its receiver, and what was measured."""

    def __init__(self, stack: Stack, directory: Path) -> None:
        self._stack = stack
        self._directory = directory
        self._port = free_port()
        self._first = 0

    async def configure(self) -> None:
        """One account with one endpoint, ten with a sound one each, and ten of which four have a bad one."""
        configs: list[Config] = []
        for to in ("one", "ten", "bad"):
            for number, account in enumerate(Load("", 0, 0, to).accounts):
                kind = BAD.get(number, "ok") if to == "bad" else "ok"
                url = f"http://127.0.0.1:{self._port}/{kind}/{account}"
                configs += [
                    AccountConfig(id=account, name=account),
                    ListConfig(account=account, number="+18005551234"),
                    EndpointConfig(account=account, id="crm", url=url, secret=SECRET, events=("delivery",)),
                ]
        settings = BusSettings()
        producer = Producer(settings)
        await producer.start()
        await write_configs(producer, settings, Codec(registry_for(None)), configs)
        await producer.stop()
        await asyncio.sleep(3)

    def run(self, load: Load) -> tuple[dict[str, object], list[float]]:
        """Post, wait until every webhook has arrived, and report; the times from callback to webhook too, in ms."""
        sent_file, arrived_file = self._directory / "sent.json", self._directory / "arrived.txt"
        with _receiver(self._port, arrived_file):
            meter = CpuMeter(self._pids())
            started = time.monotonic()
            arguments = [
                self._stack.port,
                ",".join(load.accounts),
                self._first,
                load.count,
                load.rate,
                WIDTH,
                sent_file,
            ]
            subprocess.run(
                [sys.executable, "-m", "bench.loader", *map(str, arguments)], check=True, timeout=load.count / 50 + 60
            )
            sent = sent_times(sent_file)
            expected = {message for message in sent if load.is_measured(message)}
            finished = self._wait(arrived_file, expected)
            cpu = meter.used()
        self._first += load.count
        arrived, repeated = arrival_times(arrived_file)
        done = expected & arrived.keys()
        waits = [(arrived[message] - sent[message]) / 1e6 for message in done]
        seconds = finished - started
        result: dict[str, object] = {
            "load": f"{load.name} to {load.to}" if load.name == "half" else load.name,
            "events_per_second": round(len(sent) / seconds),
            "cpu_us_per_event": {name: round(1e6 * used / len(sent)) for name, used in cpu.items()},
            "cpu_us_per_event_all": round(1e6 * sum(cpu.values()) / len(sent)),
            "p50_ms": round(percentile(waits, 0.5), 1),
            "p99_ms": round(percentile(waits, 0.99), 1),
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

    def _wait(self, arrived_file: Path, expected: set[str]) -> float:
        """Wait until all have arrived or nothing comes any more; returns when the last one came."""
        seen, last = -1, time.monotonic()
        while time.monotonic() - last < QUIET_AFTER:
            arrived, _ = arrival_times(arrived_file)
            if len(arrived) != seen:
                seen, last = len(arrived), time.monotonic()
            if expected <= arrived.keys():
                return max(arrived[message] for message in expected) / 1e9
            time.sleep(0.3)
        return last

    def _pids(self) -> dict[str, list[int]]:
        pids: dict[str, list[int]] = {}
        for service in self._stack.supervisor.services.values():
            assert service.process is not None
            pids.setdefault(service.name.split("-")[0], []).append(service.process.pid)
        if self._stack.broker is not None and self._stack.broker.pid is not None:
            pids["kafka"] = [self._stack.broker.pid]
        return pids


@contextmanager
def _receiver(port: int, out: Path) -> Iterator[None]:
    out.write_text("")
    process = start_receiver(port, out)
    time.sleep(1)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


async def bare_posts(port: int, count: int, width: int) -> float:
    """CPU microseconds of one POST of this process with nothing around it."""
    body = b'{"event":"delivery","message_id":"bare"}'
    async with aiohttp.ClientSession() as session:
        left = iter(range(count))

        async def loop() -> None:
            for _ in left:
                async with session.post(f"http://127.0.0.1:{port}/ok/bare", data=body) as answer:
                    await answer.read()

        before = resource.getrusage(resource.RUSAGE_SELF)
        await asyncio.gather(*(loop() for _ in range(width)))
        after = resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1e6 * used / count


def _bare(directory: Path) -> int:
    port = free_port()
    with _receiver(port, directory / "bare.txt"):
        uvloop.run(bare_posts(port, 2_000, 16))
        return round(uvloop.run(bare_posts(port, 15_000, 16)))


def _print(result: dict[str, object], bare: int) -> None:
    cpu = result["cpu_us_per_event"]
    assert isinstance(cpu, dict)
    parts = "  ".join(f"{name} {used}" for name, used in cpu.items())
    total = result["cpu_us_per_event_all"]
    assert isinstance(total, int)
    print(f"\n{result['load']}")
    print(f"  events/s            {result['events_per_second']}")
    print(f"  CPU us an event     {parts}  all {total}  ({total / bare:.1f} bare POSTs of {bare} us)")
    print(f"  callback to webhook p50 {result['p50_ms']} ms  p99 {result['p99_ms']} ms")
    ledger = result["ledger"]
    assert isinstance(ledger, dict)
    print("  ledger              " + "  ".join(f"{name} {count}" for name, count in ledger.items()), flush=True)


def _isolated(sound: list[float], bad: list[float], as_json: bool) -> bool:
    """Whether the sound endpoints' p99 stays within MOST_RATIO while others are bad; says so."""
    before, after = percentile(sound, 0.99), percentile(bad, 0.99)
    ratio = after / before
    if as_json:
        print(json.dumps({"sound_p99_ms": round(before, 1), "bad_p99_ms": round(after, 1), "ratio": round(ratio, 2)}))
    else:
        print(
            f"\np99 of the sound six: {before:.1f} ms, with four bad ones beside them {after:.1f} ms: {ratio:.2f} times"
        )
    return ratio <= MOST_RATIO


def main() -> int:
    """Run all loads; exit code 1 when a webhook is missing, or bad endpoints slow sound ones down."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "what",
        nargs="?",
        choices=["load", "recovery", "sizing", *SCENARIOS],
        default="load",
        help="the pipeline, a worker that starts, rows, or the webhook sink alone in one scenario",
    )
    parser.add_argument("--seconds", type=float, help="how long each load lasts (20)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a load")
    parser.add_argument("--only", choices=["saturation", "500", "half"], help="run one load alone")
    parser.add_argument("--rows", type=int, default=1_000_000, help="recovery and sizing: rows in the table")
    options = parser.parse_args()
    if options.what == "recovery":
        with tempfile.TemporaryDirectory(prefix="trackly-bench-") as name:
            recovery.show(recovery.measure(Path(name), options.rows), options.json)
        return 0
    if options.what == "sizing":
        with tempfile.TemporaryDirectory(prefix="trackly-bench-") as name:
            sizing.show(sizing.measure(Path(name), options.rows))
        return 0
    if options.what in SCENARIOS:
        scenario, usual = SCENARIOS[options.what]
        figures = asyncio.run(scenario(options.seconds or usual))
        print(json.dumps({"scenario": options.what, **figures}, indent=None if options.json else 2))
        return 0 if figures["ok"] else 1
    seconds = options.seconds or 20
    with tempfile.TemporaryDirectory(prefix="trackly-bench-") as name:
        directory = Path(name)
        os.environ |= {"TRACKLY_ALLOW_HTTP": "true", "TRACKLY_ALLOW_SUBNETS": "127.0.0.0/8"}
        # What fails under one load must not come again under another one.
        os.environ["TRACKLY_RETRY_SCHEDULE"] = "10m,1h"
        bare = _bare(directory)
        stack = Stack(directory, port=free_port(), fast_broker=False)
        try:
            stack.start(lambda text: print(text, file=sys.stderr))
            os.environ |= stack.environment
            bench = Bench(stack, directory)
            asyncio.run(bench.configure())
            print("warming up", file=sys.stderr)
            failed = 0
            warm, _ = bench.run(Load("warm-up", WARM_UP, 0))
            rate = float(str(warm["events_per_second"]))
            count = int(rate / 2 * seconds)
            loads = [
                Load("saturation", int(rate * seconds), 0),
                Load("500", int(500 * seconds), 500),
                *[Load("half", count, rate / 2, to) for _ in range(2) for to in ("ten", "bad")],
            ]
            waits: dict[str, list[float]] = {"ten": [], "bad": []}
            for load in loads:
                if options.only not in (None, load.name):
                    continue
                result, took = bench.run(load)
                waits.setdefault(load.to, []).extend(took)
                bare = min(bare, _bare(directory))
                failed += result["ledger"]["missing"]  # type: ignore[index]
                print(json.dumps({**result, "bare_post_us": bare})) if options.json else _print(result, bare)
            if waits["bad"]:
                failed += not _isolated(waits["ten"], waits["bad"], options.json)
        finally:
            stack.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
