"""`python -m bench cluster`: restarts, kills, freezes, fills, and grows three real brokers under load.

Two workers of streams and two of sinks with a TRACKLY_INSTANCE_ID, 60 callbacks of Infobip a second and two of Twilio.
After each case, it prints the longest time without a stored callback and without a delivered webhook, repeated
webhooks, 503 answers to each provider, services that ended unexpectedly, and whether the books balance (as in `python
-m bench faults`). The brokers have default settings, unless `--broker NAME=VALUE` changes one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import secrets
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.brokers import ThreeBrokers
from bench.cluster.cases import CASES
from bench.cluster.stage import Result, staged

_WIDTH = 44


def main(arguments: Sequence[str]) -> int:
    """Run; exit code 1 if books do not balance, a service ended unexpectedly, or a standstill was too long."""
    parser = argparse.ArgumentParser(prog="bench cluster", description=__doc__)
    parser.add_argument("--only", choices=CASES, action="append", help="only these cases; repeatable")
    parser.add_argument("--rate", type=float, default=60.0, help="callbacks per second (60)")
    parser.add_argument("--seed", type=int, help="seed of the posted callbacks (by default a new one)")
    parser.add_argument("--json", action="store_true", help="print a JSON object per case")
    parser.add_argument(
        "--broker", action="append", default=[], metavar="NAME=VALUE", help="a broker setting; repeatable"
    )
    options = parser.parse_args(arguments)
    seed = random.randrange(1_000_000) if options.seed is None else options.seed
    print(f"seed {seed}", file=sys.stderr)
    properties = dict(each.split("=", 1) for each in options.broker)
    return asyncio.run(_run(seed, options.rate, options.only or list(CASES), properties, options.json))


async def _run(seed: int, rate: float, names: Sequence[str], properties: dict[str, str], as_json: bool) -> int:
    failed = 0
    with (
        tempfile.TemporaryDirectory(prefix="trackly-cluster-") as name,
        ThreeBrokers(Path(name), properties) as brokers,
    ):
        if not as_json:
            print(f"{'case':{_WIDTH}} {'stored':>7} {'deliv.':>7} {'back':>6} {'twice':>6} {'503 Twilio/Infobip':>18}")
        async with staged(brokers, Path(name) / "house", f"c{secrets.token_hex(3)}.", seed, rate) as stage:
            for case in names:
                async for result in CASES[case](stage):
                    failed += not result.ok
                    figures = {**result.figures(), "load": round(os.getloadavg()[0], 1)}
                    print(json.dumps(figures) if as_json else _line(result), flush=True)
    return 1 if failed else 0


def _line(result: Result) -> str:
    back = "" if result.since_back is None else f"{result.since_back:.1f}"
    refusals = f"{result.twilio[503]} / {result.answers[503]}"
    notes = [result.remark] if result.remark else []
    notes += [f"{name} ended {count} times" for name, count in result.crashes.items()]
    notes += [f"stood longer than {result.bound:g} s"] if result.is_late else []
    notes += [f"{name.replace('_', ' ')} {count}" for name, count in result.books.wrong.items()]
    notes += [result.trouble.partition("\n")[0]] if result.trouble else []
    return (
        f"{result.case:{_WIDTH}} {result.stored_still:7.1f} {result.delivered_still:7.1f} {back:>6}"
        f" {result.books.webhooks_repeated:6} {refusals:>18}  {'; '.join(notes)}"
    )
