"""Decides whether a service is dead although its process runs: `/readyz` has answered 503, or nothing, for too long.

Docker only marks a container as unhealthy. So the container's health check, `python -m bus.alive PORT`, kills a service
that counts as dead, and the restart policy starts it again. `trackly up` judges its processes the same way. A kill at
any time loses nothing.

Kubernetes kills a container itself when its liveness probe fails: `python -m bus.alive --probe PORT` applies the same
rule and kills nothing.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEAD_AFTER = 180.0
"""Seconds without readiness or progress after which a service counts as dead. A shorter broker outage kills nothing."""

MEMORY = Path("/tmp/trackly-health.json")
"""Where one health check leaves its observations for the next."""


@dataclass(frozen=True, slots=True)
class ReadinessAnswer:
    """The answer of `/readyz`. `progress` grows while the service works towards readiness, for example by restoring its
    tables from Kafka."""

    ready: bool
    progress: float = 0.0


def ask(port: int, timeout: float = 1.0) -> ReadinessAnswer:
    """Ask a local service. One that does not answer is not ready."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=timeout) as answer:
            return ReadinessAnswer(answer.status == 200)
    except urllib.error.HTTPError as error:
        try:
            return ReadinessAnswer(False, float(json.loads(error.read())["progress"]))
        except (OSError, ValueError, LookupError, TypeError):
            return ReadinessAnswer(False)
    except (OSError, ValueError):
        return ReadinessAnswer(False)


class Patience:
    """Judges a service by its answers. Times are in seconds on any monotonic clock."""

    def __init__(self, limit: float = DEAD_AFTER) -> None:
        self._limit = limit
        self._since: float | None = None
        self._progress = 0.0

    def is_over(self, answer: ReadinessAnswer, now: float) -> bool:
        """Whether the service has been neither ready nor progressing for too long."""
        if answer.ready:
            self._since = None
        elif self._since is None or answer.progress > self._progress:
            self._since = now
            self._progress = answer.progress
        return self._since is not None and now - self._since >= self._limit

    def remember(self, path: Path) -> None:
        """Save the observations."""
        path.write_text(json.dumps({"since": self._since, "progress": self._progress}), "utf-8")

    @classmethod
    def remembered(cls, path: Path, limit: float = DEAD_AFTER) -> Patience:
        """Load the last saved observations, or empty ones."""
        patience = cls(limit)
        try:
            known: Any = json.loads(path.read_text("utf-8"))
            patience._since, patience._progress = known["since"], float(known["progress"])
        except (OSError, ValueError, LookupError, TypeError):
            pass
        return patience


def children_of_init(proc: Path = Path("/proc")) -> list[int]:
    """Return the children of the container's first process, that is the service. Empty outside a container."""
    found = []
    for entry in proc.iterdir():
        if entry.name.isdecimal():
            try:
                status = (entry / "stat").read_text("utf-8", "replace")
            except OSError:
                continue  # it has exited
            # The name, in parentheses, may contain anything.
            parent = int(status.rpartition(")")[2].split()[1])
            if parent == 1 and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


def main(port: int, memory: Path = MEMORY, limit: float = DEAD_AFTER) -> int:
    """Check this container's service once, and kill it if it counts as dead. Exit code 0: it is ready."""
    answer = ask(port, timeout=3.0)
    patience = Patience.remembered(memory, limit)
    if patience.is_over(answer, time.monotonic()):
        for process in children_of_init():
            os.kill(process, signal.SIGKILL)
    patience.remember(memory)
    return 0 if answer.ready else 1


def probe(port: int, memory: Path | None = None, limit: float = DEAD_AFTER) -> int:
    """Check a service once, for an orchestrator that does the killing. Exit code 1: it counts as dead."""
    answer = ask(port, timeout=3.0)
    memory = memory or memory_of_this_start()
    patience = Patience.remembered(memory, limit)
    is_dead = patience.is_over(answer, time.monotonic())
    patience.remember(memory)
    return int(is_dead)


def memory_of_this_start(proc: Path = Path("/proc")) -> Path:
    """Return the file for observations of the container's first process. The directory may outlive the container."""
    try:
        started = (proc / "1" / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        started = "unknown"
    return MEMORY.with_stem(f"{MEMORY.stem}-{started}")


if __name__ == "__main__":
    check = probe if sys.argv[1] == "--probe" else main
    sys.exit(check(int(sys.argv[-1])))
