"""`python -m bench`, or `make bench`: the whole pipeline under load; see bench/pipeline.py.

`python -m bench NAME` runs one scenario of the webhook sink alone, see bench/webhooks.py; `recovery` starts a worker
with a million rows, `sizing` measures their size; `faults` injects faults into the pipeline, see bench/faults; `doors`
sends the most expensive requests to ingest and the console, see bench/doors; `checks` asks who may be texted; `cluster`
restarts, kills, and freezes three brokers, see bench/cluster; `stages` measures each service alone on a backlog, see
bench/stages.py; `hops` tells where events wait, see bench/hops.py; `bare` tells what the same processes and requests
cost without trackly's work, see bench/bare.py.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

from bench import bare, checks, hops, pipeline, recovery, sizing, stages
from bench.cluster import run as cluster
from bench.doors import run as doors
from bench.faults import run as faults
from bench.webhooks import SCENARIOS

OTHERS = {
    "faults": faults.main,
    "cluster": cluster.main,
    "doors": doors.main,
    "checks": checks.main,
    "load": pipeline.main,
    "hops": hops.main,
    "bare": bare.main,
    "stages": stages.main,
}


def main() -> int:
    """Run the named benchmark; exit code 1 if it fails."""
    words = sys.argv[1:]
    if words and words[0] in OTHERS:
        return OTHERS[words[0]](words[1:])
    if not words or words[0].startswith("-"):
        return pipeline.main(words)
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("what", choices=["recovery", "sizing", *SCENARIOS], help="or one of the names above")
    parser.add_argument("--seconds", type=float, help="how long a scenario lasts")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rows", type=int, default=1_000_000, help="recovery and sizing: rows in the table")
    options = parser.parse_args(words)
    if options.what in SCENARIOS:
        scenario, usual = SCENARIOS[options.what]
        figures = asyncio.run(scenario(options.seconds or usual))
        print(json.dumps({"scenario": options.what, **figures}, indent=None if options.json else 2))
        return 0 if figures["ok"] else 1
    with tempfile.TemporaryDirectory(prefix="trackly-bench-") as name:
        if options.what == "recovery":
            recovery.show(recovery.measure(Path(name), options.rows), options.json)
        else:
            sizing.show(sizing.measure(Path(name), options.rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
