"""`python -m bench faults`: injects faults under traffic, and checks the books after each.

Each case injects one fault into the pipeline, with a real broker and the services as separate processes, while
callbacks are posted: reports, STOPs, complaints. After each case the books must balance: everything answered 200 has
its event and its webhook, no contact that a rule removed is active, and every failure count is exact. The same seed
posts the same callbacks and injects the faults at the same places.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.faults.brokers import brokers
from bench.faults.case import Chapter, Ground, Result
from bench.faults.crashes import crashes
from bench.faults.machines import clocks, producers, stores
from bench.faults.read_model import read_model
from bench.faults.topics import topics
from bus.embedded.broker import EmbeddedKafka

CHAPTERS: dict[str, Chapter] = {
    "crashes": crashes,
    "read-model": read_model,
    "stores": stores,
    "producers": producers,
    "topics": topics,
    "clocks": clocks,
    "brokers": brokers,
}
"""Cases by what fails, in the order in which they run."""

_WIDTH = 44


def main(arguments: Sequence[str]) -> int:
    """Run; exit code 1 if the books of a case do not balance."""
    parser = argparse.ArgumentParser(prog="bench faults", description=__doc__)
    parser.add_argument(
        "--seed", type=int, help="seed of the posted callbacks and the faults' places (by default a new one)"
    )
    parser.add_argument("--only", choices=CHAPTERS, action="append", help="only these cases; repeatable")
    parser.add_argument("--away", type=float, default=90.0, metavar="SECONDS", help="how long a broker is down (90)")
    parser.add_argument("--json", action="store_true", help="print a JSON object per case")
    options = parser.parse_args(arguments)
    seed = random.randrange(1_000_000) if options.seed is None else options.seed
    print(f"seed {seed}", file=sys.stderr)
    return asyncio.run(_run(seed, options.away, options.only or list(CHAPTERS), options.json))


async def _run(seed: int, away: float, chapters: Sequence[str], as_json: bool) -> int:
    failed = 0
    with tempfile.TemporaryDirectory(prefix="trackly-faults-") as name, EmbeddedKafka(Path(name) / "kafka") as broker:
        ground = Ground(broker.bootstrap_servers, Path(name), seed, away)
        if not as_json:
            print(f"{'case':{_WIDTH}} {'s':>6} {'stored':>7} {'refused':>7} {'repeated':>8}  books", flush=True)
        for chapter in chapters:
            async for result in CHAPTERS[chapter](ground):
                failed += not result.ok
                print(json.dumps(result.figures()) if as_json else _line(result), flush=True)
    return 1 if failed else 0


def _line(result: Result) -> str:
    books = result.books
    wrong = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in books.wrong.items())
    verdict = f"OFF: {result.trouble.partition(chr(10))[0] or wrong}" if not result.ok else "balance"
    figures = f"{books.stored:7} {books.refused:7} {books.webhooks_repeated:8}"
    return f"{result.case:{_WIDTH}} {result.seconds:6.1f} {figures}  {verdict}"
