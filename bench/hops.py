"""`python -m bench hops`: how long an event waits in each hop from callback to webhook, at a constant rate.

The times are those that Kafka's records carry, which their producers give them when they are queued to be sent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.build import Build, Running
from bench.loads import Bench, Load
from bench.measure import arrival_times, percentile
from bus.embedded.broker import HOST
from bus.reading.topic import BEGINNING, open_topic
from bus.settings import BusSettings
from schemas.codec import Codec
from schemas.registry import registry_for

WARM_SECONDS = 15.0
SHARES = (0.1, 0.5, 0.9, 0.99)

Times = Mapping[str, float]
"""When something happened, in ms since 1970 UTC, by message id."""


def main(words: list[str]) -> int:
    """Run; exit code 1 if a webhook is missing."""
    parser = argparse.ArgumentParser(prog="bench hops", description=__doc__)
    parser.add_argument("--rate", type=float, default=500.0, help="callbacks per second")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long the load lasts")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="trackly-bench-") as name:
        stages = measure(Path(name), options.rate, options.seconds)
    found = hops(stages)
    if options.json:
        print(json.dumps({"rate": options.rate, "hops_ms": found}))
    else:
        for hop, values in found.items():
            print(f"{hop:22}" + "  ".join(f"p{share * 100:g} {value:5.0f} ms" for share, value in values.items()))
    posted, *_, arrived = stages.values()
    return 0 if posted.keys() <= arrived.keys() else 1


def measure(directory: Path, rate: float, seconds: float) -> dict[str, Times]:
    """Return when each message of a load was where, by place."""
    running = Running(Build(), directory)
    try:
        bench = Bench(running, directory)
        bench.configure()
        bench.run(Load("warm-up", int(rate * WARM_SECONDS), rate))
        with bench.receiving() as arrived_file:
            posted = bench.post(Load("hops", int(rate * seconds), rate))
            bench.wait(arrived_file, set(posted))
            arrived, _ = arrival_times(arrived_file)
        since_1970 = time.time_ns() - time.monotonic_ns()
        return {
            "posted": {message: (at + since_1970) / 1e6 for message, at in posted.items()},
            **asyncio.run(_on_kafka(directory / "data")),
            "webhook": {message: (at + since_1970) / 1e6 for message, at in arrived.items()},
        }
    finally:
        running.stop()


def hops(stages: Mapping[str, Times]) -> dict[str, dict[float, float]]:
    """Return the distribution of the time between each place and the next, in ms, and between the first and last."""
    names = list(stages)
    everywhere = set.intersection(*(set(times) for times in stages.values()))
    pairs = [*pairwise(names), (names[0], names[-1])]
    waits = {
        f"{start} -> {end}": [stages[end][message] - stages[start][message] for message in everywhere]
        for start, end in pairs
    }
    return {hop: {share: percentile(times, share) for share in SHARES} for hop, times in waits.items()}


async def _on_kafka(data: Path) -> dict[str, Times]:
    port = json.loads((data / "kafka" / "ports.json").read_text())["port"]
    settings = BusSettings(bootstrap_servers=f"{HOST}:{port}", data_dir=data)
    codec = Codec(registry_for(None))
    ids: dict[str, Callable[[Any], str]] = {
        "raw": lambda callback: json.loads(callback.body)["results"][0]["messageId"],
        "receipts": lambda receipt: receipt.provider_message_id,
        "delivery": lambda event: event.provider_message_id,
    }
    found: dict[str, Times] = {}
    for topic, id_of in ids.items():
        name = settings.catalogue[topic].name
        async with open_topic(settings, lambda _, name=name: name, BEGINNING) as records:
            found[topic] = {id_of(codec.decode(record.value)): record.timestamp async for record in records.rest()}
    return found
