"""`python -m bench doors`: what the most expensive requests of strangers cost ingest and the console.

Both run as separate processes on a real broker. Each request of `bench.doors.hostile` is sent alone, then some patterns
of connections. It prints the answer, the longest single and the total occupation of the loop, in processor time, and
the process's peak memory. Everything is bounded and stays on loopback. The exit code is 1 if the loop was occupied for
longer than LONGEST_MS at a time, or memory exceeded CEILING.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from accounts.model import Config
from bench.doors.hostile import HEAD, Hostile, post, to_console, to_ingest
from bench.doors.watched import FILE, MODULE
from bus.embedded.broker import EmbeddedKafka
from bus.settings import BusSettings
from schemas.records import AccountConfig, ListConfig
from tests.cluster import Cluster, ForkedService

LONGEST_MS = 50.0
CEILING = 1 << 30
"""Maximum bytes of memory of ingest or a console, whatever is sent: 128 MiB of waiting bodies
(`TRACKLY_MAX_PENDING_BYTES`) as received, joined, encoded, and compressed, 4,096 heads of 64 KiB, and the process
itself."""

TRIES = 3
CONNECTIONS = 200
SECRET = "secret-of-the-bench"  # noqa: S105
INFOBIP = "/api/webhook-feedbacks/infobip?account=acme"

SETTINGS: list[Config] = [
    AccountConfig(
        id="acme",
        name="Acme",
        providers={
            "twilio": {"auth_token": "token", "auth_token_previous": "before"},
            "infobip": {"secret": "secret", "secret_previous": "before"},
        },
    ),
    AccountConfig(id="open", name="Open"),
    ListConfig(account="acme", number="+18005551234"),
]


class Cost(NamedTuple):
    """The cost of a request or a pattern."""

    door: str
    name: str
    answer: str
    longest_ms: float
    all_ms: float
    peak_bytes: int

    @property
    def ok(self) -> bool:
        """Whether it stayed within the bounds."""
        return self.longest_ms <= LONGEST_MS and self.peak_bytes <= CEILING


class Watched(Cluster):
    """Services that record how long their loops are occupied."""

    def take(self, name: str) -> dict[str, Any]:
        """Return a service's figures since the last call."""
        path = self._file(name)
        path.unlink(missing_ok=True)
        self.services[name].signal(signal.SIGUSR1)
        deadline = time.monotonic() + 20
        while not path.exists():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} does not answer:\n{self.services[name].last_lines(20)}")
            time.sleep(0.005)
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def _file(self, name: str) -> Path:
        return self._directory / f"{name}.watch"

    def _service(self, name: str) -> ForkedService:
        service = super()._service(name)
        service.module = MODULE
        service.environment = {**service.environment, FILE: str(self._file(name))}
        return service


class Door:
    """One of the two services."""

    def __init__(self, cluster: Watched, name: str) -> None:
        self.name = name.partition("-")[0]
        self.port = cluster.services[name].health_port
        self._cluster = cluster
        self._service = name

    def cost(self, name: str, act: Callable[[], str]) -> Cost:
        """Measure the service during an action."""
        self._cluster.take(self._service)
        answer = act()
        figures = self._cluster.take(self._service)
        return Cost(self.name, name, answer, figures["longest_ms"], figures["all_ms"], int(figures["peak_bytes"]))

    def connection(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)


def send(door: Door, hostile: Hostile) -> str:
    """Send one request; returns the status, or a word if there is no answer."""
    with door.connection() as connection:
        try:
            for part in hostile.parts:
                connection.sendall(part)
            if b"\r\n\r\n" not in b"".join(hostile.parts):
                connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(65_536), b""))
        except TimeoutError:
            return "none in 20 s"
        except OSError:
            return "reset"
    return answer[9:12].decode() or "closed"


def patterns(door: Door) -> Iterator[Cost]:
    """Open many connections at once."""

    def all_send(part: bytes, then: float = 0.5) -> str:
        with contextlib.ExitStack() as open_ones:
            connections = [open_ones.enter_context(door.connection()) for _ in range(CONNECTIONS)]
            for connection in connections:
                connection.setblocking(False)
                with contextlib.suppress(OSError):
                    connection.send(part)
            time.sleep(then)
        return f"{CONNECTIONS} connections"

    yield door.cost("connections that say nothing", lambda: all_send(b""))
    yield door.cost("heads without an end", lambda: all_send(b"GET / HTTP/1.1\r\nx: " + b"a" * HEAD))
    if door.name == "ingest":
        yield door.cost("bodies that lack a byte", lambda: asyncio.run(_bodies(door, 4 << 20, lacking=1)))
        yield door.cost("whole bodies at once", lambda: asyncio.run(_bodies(door, 4 << 20, lacking=0)))


async def _bodies(door: Door, size: int, lacking: int) -> str:
    """Send a body on each of some connections; the missing part is never sent."""
    whole = post("/api/webhook-feedbacks/infobip?account=open", b"x" * size, "application/json")
    statuses: dict[str, int] = {}

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        status = "waiting"
        with contextlib.suppress(OSError, TimeoutError):
            writer.write(whole[: len(whole) - lacking])
            async with asyncio.timeout(5):
                status = (await reader.read(64))[9:12].decode() or "closed"
        statuses[status] = statuses.get(status, 0) + 1
        writer.transport.abort()

    await asyncio.gather(*(one() for _ in range(CONNECTIONS // 2)))
    return " ".join(f"{count}x{status}" for status, count in sorted(statuses.items()))


def main(arguments: Sequence[str]) -> int:
    """Run; exit code 1 if something costs too much."""
    parser = argparse.ArgumentParser(prog="bench doors", description=__doc__)
    parser.add_argument("--only", metavar="WORDS", default="", help="only requests with these words in their name")
    parser.add_argument("--json", action="store_true", help="print a JSON object per request")
    options = parser.parse_args(arguments)
    worst: list[Cost] = []
    with tempfile.TemporaryDirectory(prefix="trackly-doors-") as name, EmbeddedKafka(Path(name) / "kafka") as broker:
        for cost in costs(broker.bootstrap_servers, Path(name), options.only):
            print(json.dumps({**cost._asdict(), "ok": cost.ok}) if options.json else _line(cost), flush=True)
            worst.append(cost)
    if worst and not options.json:
        slowest, largest = max(worst, key=lambda each: each.longest_ms), max(worst, key=lambda each: each.peak_bytes)
        print(f"\nlongest {slowest.longest_ms:.1f} ms ({slowest.door}: {slowest.name}), of {LONGEST_MS:.0f}")
        print(f"most memory {largest.peak_bytes >> 20} MiB ({largest.door}: {largest.name}), of {CEILING >> 20}")
    return 0 if all(cost.ok for cost in worst) else 1


def costs(servers: str, directory: Path, words: str = "") -> Iterator[Cost]:
    """Return the cost of each request whose door and name contain these words, on a broker."""
    settings = BusSettings(bootstrap_servers=servers, topic_prefix="doors.", partitions=1, data_dir=directory)
    secrets = {"LIME_WEBHOOK_SECRET": SECRET, "EZTEXTING_WEBHOOK_SECRET": SECRET}
    with Watched(settings, directory, **secrets) as cluster:
        asyncio.run(cluster.configure(SETTINGS))
        cluster.start("ingest", "console-1")
        cluster.wait_ready()
        key = asyncio.run(cluster.make_key("acme"))
        time.sleep(3)
        for door, requests in (
            (Door(cluster, "ingest"), to_ingest(SECRET)),
            (Door(cluster, "console-1"), to_console(key)),
        ):
            for target in (INFOBIP, "/sign-in"):  # loads whatever is loaded on first use
                send(door, Hostile("first", (post(target, fields={"sec-fetch-site": "same-origin"}),)))
            for hostile in requests:
                if words in f"{door.name}: {hostile.name}":
                    yield _least(door.cost(hostile.name, partial(send, door, hostile)) for _ in range(TRIES))
            if words in f"{door.name}: connections":
                yield from patterns(door)


def _least(tries: Iterator[Cost]) -> Cost:
    """Return the first of some attempts within the bounds, or else the cheapest: garbage of others is collected too."""
    costs: list[Cost] = []
    for cost in tries:
        costs.append(cost)
        if cost.ok:
            break
    return min(costs, key=lambda each: each.longest_ms)


def _line(cost: Cost) -> str:
    told = "" if cost.ok else "  TOO MUCH"
    return (
        f"{cost.door:8} {cost.name:48} {cost.answer:>14} {cost.longest_ms:8.1f} ms {cost.all_ms:8.1f} ms"
        f" {cost.peak_bytes >> 20:5} MiB{told}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
