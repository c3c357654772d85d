"""One service that records how long its loop is occupied: `python -m bench.doors.watched SERVICE` is `trackly SERVICE`.

Each turn of asyncio's loop is measured in processor time of its thread, so that other work of the machine does not
count. On a signal, the figures since the last one are written to the file named by the environment variable in `FILE`.
"""

from __future__ import annotations

import asyncio.events
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

FILE = "TRACKLY_BENCH_WATCH_FILE"
"""Environment variable: the file for the figures."""

MODULE = "bench.doors.watched"


class Watch:
    """Milliseconds of the longest turn of the loop since the last query, and of all turns."""

    def __init__(self, path: Path) -> None:
        self.longest = self.all = 0
        self._path = path
        self._is_turning = self._is_asked = False

    def start(self) -> None:
        """From now on, measure every turn of every loop of this process."""
        run = asyncio.events.Handle._run

        def measured(handle: asyncio.events.Handle) -> None:
            self._is_turning, before = True, time.thread_time_ns()
            run(handle)
            took = time.thread_time_ns() - before
            self.longest = max(self.longest, took)
            self.all += took
            self._is_turning = False
            if self._is_asked:
                self._tell()

        asyncio.events.Handle._run = measured  # type: ignore[method-assign]

    def ask(self, *_: object) -> None:
        """Write the figures, after the current turn if there is one, and reset them."""
        self._is_asked = True
        if not self._is_turning:
            self._tell()

    def _tell(self) -> None:
        figures = {"longest_ms": self.longest / 1e6, "all_ms": self.all / 1e6, "peak_bytes": peak_bytes()}
        self.longest = self.all = 0
        self._is_asked = False
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(figures))
        new.replace(self._path)


def peak_bytes() -> int:
    """Return this process's peak memory since the last call (Linux)."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    Path("/proc/self/clear_refs").write_text("5")
    return int(line.split()[1]) << 10


def _on_asyncio(watch: Watch) -> None:
    """Make uvicorn run on asyncio's own loop: uvloop's turns cannot be measured."""
    import uvicorn

    configure = uvicorn.Config.__init__

    def configured(config: Any, *arguments: Any, **options: Any) -> None:
        configure(config, *arguments, **options | {"loop": "asyncio"})

    uvicorn.Config.__init__ = configured  # type: ignore[method-assign, assignment]
    watch.start()


def main() -> None:
    """Run the service named by the first argument."""
    watch = Watch(Path(os.environ[FILE]))
    signal.signal(signal.SIGUSR1, watch.ask)
    _on_asyncio(watch)
    from trackly.cli import main as trackly

    sys.argv[0] = "trackly"
    trackly()


if __name__ == "__main__":
    main()
