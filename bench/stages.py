"""`python -m bench stages`: what each service costs alone, with as much waiting for it as it can take.

Streams, sinks, and the read model stand still (SIGSTOP) while callbacks are posted, and then work them off one after
the other. Unlike under a load on everything, services do not compete for cores, and full batches hide no waits: so the
figures of two builds compare even on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.build import Build, Running, build_of, wait_for_rest
from bench.loads import Bench, Load
from bench.measure import arrival_times, cpu_seconds

BEHIND = ("streams", "sinks", "read-model")
"""Services that follow ingest, in order."""

WARM_UP = 5_000

RESTS, LONGEST = 1.5, 120.0
"""Seconds of rest after which a service has worked off everything (it may first have to join its group again), and
maximum seconds for that."""


def main(words: list[str]) -> int:
    """Run; exit code 1 if a webhook is missing in this build."""
    parser = argparse.ArgumentParser(
        prog="bench stages", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", metavar="PATH_OR_COMMIT", help="a build to compare with")
    parser.add_argument("--count", type=int, default=10_000, help="callbacks per round")
    parser.add_argument("--rounds", type=int, default=3, help="how often; the medians count")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="trackly-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        found = {"this": measure(Build(), directory / "this", options.count, options.rounds)}
        if options.against is not None:
            other = stack.enter_context(build_of(options.against, directory))
            found["other"] = measure(other, directory / "other", options.count, options.rounds)
    show(found, options.json)
    return 0 if found["this"]["missing"] == 0 else 1


def measure(build: Build, directory: Path, count: int, rounds: int) -> dict[str, float]:
    """Return the processor time per callback of each service, in us, and how many webhooks are missing."""
    directory.mkdir()
    running = Running(build, directory)
    try:
        bench = Bench(running, directory)
        bench.configure()
        bench.run(Load("warm-up", WARM_UP, 0))
        found = [_round(running, bench, count) for _ in range(rounds)]
    finally:
        running.stop()
    return {name: statistics.median(each[name] for each in found) for name in found[0]}


def show(found: dict[str, dict[str, float]], as_json: bool) -> None:
    """Print the figures of one or two builds, and their ratios."""
    if as_json:
        print(json.dumps(found))
        return
    print(
        f"{'us per callback':16}"
        + "".join(f"{name:>10}" for name in found)
        + ("     ratio" if "other" in found else "")
    )
    for name, used in found["this"].items():
        values = [each[name] for each in found.values()]
        ratio = f"{used / values[1]:10.2f}" if len(values) == 2 and values[1] else ""
        print(f"{name:16}" + "".join(f"{value:10.0f}" for value in values) + ratio)


def _round(running: Running, bench: Bench, count: int) -> dict[str, float]:
    pids, used = running.pids, dict[str, float]()
    with bench.receiving() as arrived_file:
        for name in BEHIND:
            os.kill(pids[name], signal.SIGSTOP)
        try:
            before = {name: cpu_seconds(pids[name]) for name in ("ingest", "kafka")}
            sent = bench.post(Load("backlog", count, 0))
            used["ingest"] = cpu_seconds(pids["ingest"]) - before["ingest"]
            for name in BEHIND:
                started = cpu_seconds(pids[name])
                os.kill(pids[name], signal.SIGCONT)
                wait_for_rest(pids[name], RESTS, LONGEST)
                used[name] = cpu_seconds(pids[name]) - started
            used["kafka"] = cpu_seconds(pids["kafka"]) - before["kafka"]
        finally:
            for name in BEHIND:
                os.kill(pids[name], signal.SIGCONT)
        arrived, _ = arrival_times(arrived_file)
    print(f"{count} callbacks worked off", file=sys.stderr, flush=True)
    used["all"] = sum(used.values())
    return {name: 1e6 * seconds / count for name, seconds in used.items()} | {
        "missing": float(len(sent.keys() - arrived.keys()))
    }
