"""How the bench computes costs from two snapshots of the processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from bench.build import PROBE, Snapshot
from bench.loads import costs


def test_costs_are_what_was_done_between_two_looks_per_event() -> None:
    before = Snapshot(10.0, {"ingest": 1.0, "kafka": 2.0}, 0.5, Counter({"ingest Produce": 10}), {"ingest": 0.1})
    after = Snapshot(
        20.0,
        {"ingest": 1.5, "kafka": 3.0},
        0.75,
        Counter({"ingest Produce": 60, "streams Produce": 50, "streams Fetch": 25}),
        {"ingest": 0.2},
        {"ingest": [(9.0, 80.0), (15.0, 7.0)]},
        {"ingest": [(9.0, 90.0)]},
    )

    found = costs(before, after, 1_000, "us_an_event", 1e6)

    assert found["cpu_us_an_event"] == {"ingest": 500, "kafka": 1_000}
    assert (found["all"], found["compiling"]) == (1_500, 250)
    assert found["requests"] == {"Produce": 0.1, "Fetch": 0.025}
    assert found["collecting"] == {"ingest": 100}
    assert found["longest_collection_ms"] == {"ingest": 7}
    assert found["longest_lag_ms"] == {"ingest": 0}


def test_the_probe_sees_requests_collections_and_late_loops_of_a_process_that_knows_nothing_of_it(
    tmp_path: Path,
) -> None:
    program = (
        "import asyncio, gc, time\n"
        "from aiokafka.conn import AIOKafkaConnection\n"
        "from aiokafka.protocol.fetch import FetchRequest\n"
        "async def main():\n"
        "    await asyncio.sleep(0.06)\n"
        "    time.sleep(0.2)\n"
        "    await asyncio.sleep(0.06)\n"
        "    gc.collect()\n"
        "    connection = AIOKafkaConnection('127.0.0.1', 1)\n"
        "    try:\n"
        "        connection.send(FetchRequest.__new__(FetchRequest))\n"
        "    except Exception: pass\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROBE), "BENCH_PROBE": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, env=environment)
    try:
        path, ends, found = tmp_path / f"{process.pid}.json", time.monotonic() + 30, {}
        while not found.get("requests") and time.monotonic() < ends:
            time.sleep(0.05)
            found = json.loads(path.read_text()) if path.exists() else {}
    finally:
        process.kill()
        process.wait()

    assert found["requests"] == {"Fetch": 1}
    assert found["collected"]["count"] >= 1
    assert max(ms for _, ms in found["lags"]) >= 100
