"""Measures what processor time does not show: Kafka requests by kind, garbage collections, loop lag.

Python imports this module at startup if its directory is on PYTHONPATH, so that it works with any build. It writes
`PID.json` into the directory BENCH_PROBE once a second. Collections are measured in processor time, which is
independent of other load; loop lag in wall time.
"""

from __future__ import annotations

import gc
import json
import os
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

EVERY = 1.0
"""Seconds between two writes."""

TICK = 0.05
"""Seconds between two measurements of loop lag."""

QUIET = "quiet"
"""While there is a file of this name in the directory, loop lag is measured once a second: twenty wake-ups a second are
a fourth of what an idle process costs."""

tick = TICK

requests: Counter[str] = Counter()
collected = {"count": 0, "ms": 0.0}
pauses: dict[int, float] = {}
"""The longest collection in a second of the monotonic clock, in milliseconds."""

lags: dict[int, float] = {}
"""The maximum lateness of the loop in a second of the monotonic clock, in milliseconds."""


def _watch_collections() -> None:
    began = 0

    def look(phase: str, info: dict[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = time.thread_time_ns()
            return
        took = (time.thread_time_ns() - began) / 1e6
        collected["count"] += 1
        collected["ms"] += took
        second = int(time.monotonic())
        pauses[second] = max(took, pauses.get(second, 0.0))

    gc.callbacks.append(look)


def _count_requests() -> None:
    from aiokafka.conn import AIOKafkaConnection

    send = AIOKafkaConnection.send

    def counted(self: Any, request: Any, expect_response: bool = True) -> Any:
        requests[type(request).__name__.removesuffix("Request")] += 1
        return send(self, request, expect_response)

    AIOKafkaConnection.send = counted


def _watch_loop(kind: Any) -> None:
    run_forever = kind.run_forever

    def watched(self: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            self.call_later(tick, _tick, self, time.monotonic() + tick)
        return run_forever(self)

    kind.run_forever = watched


def _tick(loop: Any, due: float) -> None:
    now = time.monotonic()
    late = 1_000 * (now - due)
    lags[int(now)] = max(late, lags.get(int(now), 0.0))
    loop.call_later(tick, _tick, loop, now + tick)


def _write_for_ever(path: Path) -> None:
    global tick
    new, quiet = path.with_suffix(".new"), path.with_name(QUIET)
    while True:
        time.sleep(EVERY)
        tick = EVERY if quiet.exists() else TICK
        found = {
            "requests": dict(requests),
            "collected": collected,
            "pauses": [*pauses.items()],
            "lags": [*lags.items()],
        }
        new.write_text(json.dumps(found))
        new.replace(path)


def _start(directory: str) -> None:
    import asyncio

    import uvloop

    _count_requests()
    _watch_loop(uvloop.Loop)
    _watch_loop(asyncio.SelectorEventLoop)
    _watch_collections()
    path = Path(directory) / f"{os.getpid()}.json"
    threading.Thread(target=_write_for_ever, args=(path,), name="probe", daemon=True).start()


if os.environ.get("BENCH_PROBE"):
    _start(os.environ["BENCH_PROBE"])
