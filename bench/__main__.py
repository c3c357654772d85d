"""`make bench`: the whole pipeline under load, one report a request.

Three loads: as fast as callbacks are answered, 500 a second, and half of the first with one endpoint of ten never
answering. For each: events a second, processor time an event for each process and the broker, time from callback
to webhook, and the ledger. Loader and receiver run beside the pipeline on the same machine and are not counted.
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

import aiohttp
import uvloop

from accounts.store import Config, write_configs
from bench import recovery, sizing
from bench.measure import CpuMeter, arrival_times, percentile, sent_times
from bus.embedded import free_port
from bus.producer import Producer
from bus.settings import BusSettings
from schemas.codec import Codec
from schemas.records import AccountConfig, EndpointConfig, ListConfig
from schemas.registry import registry_for
from trackly.up import Stack

ENDPOINTS = 10
SECRET = "whsec_YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtMTIzNA=="  # noqa: S105 - a secret of the benchmark alone
WIDTH = 64
QUIET_AFTER = 10.0
WARM_UP = 20_000
"""Events before the first measurement: the broker's JVM compiles itself in the first seconds."""


@dataclass(frozen=True)
class Load:
    """One load: `rate` 0 is as fast as answers come; with `dead`, one of ten endpoints never answers."""

    name: str
    count: int
    rate: float
    dead: bool = False


class Bench:
    """The pipeline, its receiver, and what was measured."""

    def __init__(self, stack: Stack, directory: Path) -> None:
        self._stack = stack
        self._directory = directory
        self._port = free_port()
        self._dead_port = free_port()
        self._first = 0

    async def configure(self) -> None:
        """One account with one endpoint, and ten with one each, of which the last never answers."""
        configs: list[Config] = []
        for number in range(ENDPOINTS + 1):
            account = "one" if number == ENDPOINTS else f"ten{number}"
            port = self._dead_port if account == f"ten{ENDPOINTS - 1}" else self._port
            configs += [
                AccountConfig(id=account, name=account),
                ListConfig(account=account, number="+18005551234"),
                EndpointConfig(
                    account=account, id="crm", url=f"http://127.0.0.1:{port}/", secret=SECRET, events=("delivery",)
                ),
            ]
        settings = BusSettings()
        producer = Producer(settings)
        await producer.start()
        await write_configs(producer, settings, Codec(registry_for(None)), configs)
        await producer.stop()
        await asyncio.sleep(3)

    def run(self, load: Load) -> dict[str, object]:
        """Post, wait until every webhook has arrived, and report."""
        accounts = [f"ten{n}" for n in range(ENDPOINTS)] if load.dead else ["one"]
        sent_file, arrived_file = self._directory / "sent.json", self._directory / "arrived.txt"
        with self._receiver(arrived_file):
            meter = CpuMeter(self._pids())
            started = time.monotonic()
            arguments = [self._stack.port, ",".join(accounts), self._first, load.count, load.rate, WIDTH, sent_file]
            subprocess.run(
                [sys.executable, "-m", "bench.loader", *map(str, arguments)], check=True, timeout=load.count / 50 + 60
            )
            sent = sent_times(sent_file)
            expected = {
                message
                for message in sent
                if not load.dead or int(message.partition("-")[2]) % ENDPOINTS != ENDPOINTS - 1
            }
            finished = self._wait(arrived_file, expected)
            cpu = meter.used()
        self._first += load.count
        arrived, repeated = arrival_times(arrived_file)
        done = expected & arrived.keys()
        waits = [(arrived[message] - sent[message]) / 1e6 for message in done]
        seconds = finished - started
        return {
            "load": load.name,
            "events_per_second": round(len(sent) / seconds),
            "cpu_us_per_event": {name: round(1e6 * used / len(sent)) for name, used in cpu.items()},
            "cpu_us_per_event_all": round(1e6 * sum(cpu.values()) / len(sent)),
            "p50_ms": round(percentile(waits, 0.5), 1),
            "p99_ms": round(percentile(waits, 0.99), 1),
            "ledger": {
                "posted": load.count,
                "stored": len(sent),
                "expected_at_answering_endpoints": len(expected),
                "arrived": len(done),
                "missing": len(expected - arrived.keys()),
                "repeated": repeated,
            },
        }

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
    def _receiver(self, out: Path) -> Iterator[None]:
        out.write_text("")
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.receiver", str(self._port), str(self._dead_port), str(out)]
        )
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
                async with session.post(f"http://127.0.0.1:{port}/", data=body) as answer:
                    await answer.read()

        before = resource.getrusage(resource.RUSAGE_SELF)
        await asyncio.gather(*(loop() for _ in range(width)))
        after = resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1e6 * used / count


def _bare(directory: Path) -> int:
    port, dead = free_port(), free_port()
    receiver = subprocess.Popen(
        [sys.executable, "-m", "bench.receiver", str(port), str(dead), str(directory / "bare.txt")]
    )
    time.sleep(1)
    try:
        uvloop.run(bare_posts(port, 2_000, 16))
        return round(uvloop.run(bare_posts(port, 15_000, 16)))
    finally:
        receiver.send_signal(signal.SIGTERM)
        receiver.wait(10)


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


def main() -> int:
    """Run all loads; exit code 1 when a webhook is missing."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "what",
        nargs="?",
        choices=["load", "recovery", "sizing"],
        default="load",
        help="the pipeline, a worker that starts, or rows",
    )
    parser.add_argument("--seconds", type=float, default=20, help="how long each load lasts")
    parser.add_argument("--json", action="store_true", help="print one JSON object a load")
    parser.add_argument("--only", choices=["saturation", "500", "dead"], help="run one load alone")
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
    with tempfile.TemporaryDirectory(prefix="trackly-bench-") as name:
        directory = Path(name)
        os.environ |= {"TRACKLY_ALLOW_HTTP": "true", "TRACKLY_ALLOW_SUBNETS": "127.0.0.0/8"}
        bare = _bare(directory)
        stack = Stack(directory, port=free_port(), fast_broker=False)
        try:
            stack.start(lambda text: print(text, file=sys.stderr))
            os.environ |= stack.environment
            bench = Bench(stack, directory)
            asyncio.run(bench.configure())
            print("warming up", file=sys.stderr)
            warm = bench.run(Load("warm-up", WARM_UP, 0))
            rate = float(str(warm["events_per_second"]))
            failed = 0
            loads = [
                Load("saturation", int(rate * options.seconds), 0),
                Load("500", int(500 * options.seconds), 500),
                Load("dead", int(rate / 2 * options.seconds), rate / 2, dead=True),
            ]
            for load in loads:
                if options.only not in (None, load.name):
                    continue
                result = bench.run(load)
                bare = min(bare, _bare(directory))
                failed += result["ledger"]["missing"]  # type: ignore[index]
                print(json.dumps({**result, "bare_post_us": bare})) if options.json else _print(result, bare)
        finally:
            stack.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
