"""`make bench`: what an event costs in every process of `trackly up`, optionally compared with another build.

Loads: as fast as callbacks are answered, 500 and 100 a second, nothing at all, and 300 a second and half of the first
to ten endpoints: all sound, then one that never answers, one that takes 4.9 s, one that resets connections and one that
sends 10 MB. `--only million` posts a million reports and tells what every process holds. For each: events a second;
processor time an event by process, with what the JVM's compilers took of it; Kafka requests an event by kind; the
longest collection of garbage and the longest lateness of a loop; the time from callback to webhook (of the endpoints
that stay sound); and the ledger. Loader and receiver run beside it on the same machine and are not counted.

`--against` runs another build (a path, or a commit) in alternation with this one and prints ratios of medians. Beside
them stands a bare aiohttp POST of the same run, so that figures of different days and machines compare.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from bench.build import Build, Running, build_of
from bench.loads import Bench, Figures, Load, bare_post_us
from bench.measure import percentile

LOADS = ("saturation", "500", "100", "idle", "isolation", "million")
USUAL = LOADS[:-1]
RATES = (500, 100)
"""Callbacks a second of the loads that are named after them."""

MOST_RATIO = 1.5
"""Maximum growth of the sound endpoints' p99 when four others are bad."""

WARM_UP, WARM_SECONDS = 1_000, 5.0
"""Events before the first measurement, per second of a load; and seconds that each load runs before it is measured."""

STEP, STEPS = 100_000, 10
COMPARED = ("all", "events_per_second", "p50_ms", "p99_ms")


def main(words: list[str]) -> int:
    """Run; exit code 1 if a webhook is missing, or bad endpoints slow down sound ones in this build."""
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", metavar="PATH_OR_COMMIT", help="a build to compare with, run in alternation")
    parser.add_argument("--pairs", type=int, default=3, help="how often each build runs, with --against")
    parser.add_argument("--seconds", type=float, default=20, help="how long each load lasts")
    parser.add_argument("--only", choices=LOADS, action="append", help="run only these loads")
    parser.add_argument("--json", action="store_true", help="print a JSON object per load")
    options = parser.parse_args(words)
    loads = options.only or USUAL
    with tempfile.TemporaryDirectory(prefix="trackly-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        if options.against is None:
            _, failed = measure(Build(), directory, loads, options.seconds, options.json)
            return 1 if failed else 0
        other = stack.enter_context(build_of(options.against, directory))
        results: dict[str, list[list[Figures]]] = {"this": [], "other": []}
        failures = 0
        for pair in range(options.pairs):
            for which, build in (("this", Build()), ("other", other)):
                print(f"\n== pair {pair + 1}: {which}", file=sys.stderr, flush=True)
                home = directory / f"{which}-{pair}"
                home.mkdir()
                found, failed = measure(build, home, loads, options.seconds, options.json)
                results[which].append(found)
                failures += failed if which == "this" else 0
        compare(results["this"], results["other"], options.json)
    return 1 if failures else 0


def measure(
    build: Build, directory: Path, loads: list[str] | tuple[str, ...], seconds: float, as_json: bool
) -> tuple[list[Figures], int]:
    """Run loads on a build; returns the figures of each, and the number of missing or late webhooks."""
    bare, failed, found = bare_post_us(directory), 0, []
    paced = {rate: bare_post_us(directory, rate) for rate in RATES if str(rate) in loads}
    running = Running(build, directory)
    try:
        bench = Bench(running, directory)
        bench.configure()
        warm, _ = bench.run(Load("warm-up", int(WARM_UP * seconds), 0))
        half = float(warm["events_per_second"]) / 2

        def note(figures: Figures) -> None:
            figures["bare_post_us"] = bare
            found.append(figures)
            print(json.dumps(figures)) if as_json else show(figures)

        if "saturation" in loads:
            figures, _ = bench.run(Load("saturation", int(2 * half * seconds), 0))
            half = figures["events_per_second"] / 2
            note(figures)
        for rate, alone in paced.items():
            figures, _ = bench.run(Load(str(rate), int(rate * seconds), rate), WARM_SECONDS)
            note({**figures, "bare_post_at_this_rate_us": alone})
        if "idle" in loads:
            note(bench.idle(seconds))
        if "isolation" in loads:
            for name, rate in (("300", 300), ("half", half)):
                sound, waits = bench.run(Load(name, int(rate * seconds), rate, "ten"), WARM_SECONDS)
                note(sound)
                bad, others = bench.run(Load(name, int(rate * seconds), rate, "bad"), WARM_SECONDS)
                ratio = round(percentile(others, 0.99) / percentile(waits, 0.99), 2)
                note({**bad, "p99_to_all_sound": ratio})
                failed += ratio > MOST_RATIO
        if "million" in loads:
            for figures in bench.grow(STEP, STEPS):
                note(figures)
    finally:
        running.stop()
    return found, failed + sum(figures.get("ledger", {}).get("missing", 0) for figures in found)


def show(figures: Figures) -> None:
    """Print the figures of one load."""
    bare, all_ = figures["bare_post_us"], figures["all"]
    cpu = next(value for name, value in figures.items() if name.startswith("cpu_"))
    print(f"\n{figures['load']}")
    if "ledger" in figures:
        print(f"  events/s            {figures['events_per_second']}")
        print(f"  CPU us an event     {_listed(cpu)}  all {all_}  ({all_ / bare:.1f} bare POSTs of {bare} us)")
        if (alone := figures.get("bare_post_at_this_rate_us")) is not None:
            print(f"                      {all_ / alone:.1f} bare POSTs at this rate, of {alone} us")
        print(f"  callback to webhook p50 {figures['p50_ms']} ms  p99 {figures['p99_ms']} ms")
    else:
        print(f"  CPU ms a second     {_listed(cpu)}  all {all_}")
    print(f"  of it compiling     {figures['compiling']};  collecting {_listed(figures['collecting'])}")
    print(f"  Kafka requests      {_listed(figures['requests'])}  all {sum(figures['requests'].values()):.3f}")
    print(f"  longest ms          collection {_listed(figures['longest_collection_ms'])}")
    print(f"                      loop late {_listed(figures['longest_lag_ms'])}")
    for name in ("ledger", "mib"):
        if name in figures:
            print(f"  {name:19} {_listed(figures[name])}")
    if "p99_to_all_sound" in figures:
        print(f"  p99 of the sound six is {figures['p99_to_all_sound']} times what it was with ten sound ones")
    sys.stdout.flush()


def compare(this: list[list[Figures]], other: list[list[Figures]], as_json: bool) -> None:
    """Print medians of both builds and their ratios, by load."""
    ours, theirs = _by_load(this), _by_load(other)
    for load, values in ours.items():
        both = {
            name: (statistics.median(values[name]), statistics.median(theirs[load][name]))
            for name in values
            if theirs[load][name]
        }
        if as_json:
            print(json.dumps({"load": load, "this_and_other": both}))
            continue
        print(f"\n{load}: this build, the other, ratio (medians of {len(this)})")
        for name, (a, b) in both.items():
            print(f"  {name:24} {a:>10,.1f} {b:>10,.1f}   {a / b if b else float('nan'):.2f}")


def _by_load(runs: list[list[Figures]]) -> dict[str, defaultdict[str, list[float]]]:
    found: dict[str, defaultdict[str, list[float]]] = {}
    for figures in (each for run in runs for each in run):
        values = found.setdefault(figures["load"], defaultdict(list))
        for name in COMPARED:
            if name in figures:
                values[name].append(figures[name])
        values["bare POSTs"].append(figures["all"] / figures["bare_post_us"])
        if "bare_post_at_this_rate_us" in figures:
            values["at this rate"].append(figures["all"] / figures["bare_post_at_this_rate_us"])
        values["Kafka requests"].append(sum(figures["requests"].values()))
        cpu = next(value for name, value in figures.items() if name.startswith("cpu_"))
        for name, used in cpu.items():
            values[f"CPU of {name}"].append(used)
    return found


def _listed(values: dict[str, float]) -> str:
    return "  ".join(f"{name} {value}" for name, value in values.items())
