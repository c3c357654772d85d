"""Whether a service is dead though its process runs: `/readyz` answers 503, or nothing, for a long time.

Docker marks what is unhealthy and leaves it at that. So the health check of a container, `python -m bus.alive PORT`,
kills the service when it counts as dead, and the container's restart policy starts it again. `trackly up` judges its
processes in the same way. A kill at any time loses nothing.

Kubernetes kills what a liveness probe says is dead: `python -m bus.alive --probe PORT` judges alike and kills nothing.
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
"""Seconds without readiness and without progress after which a service counts as dead. A broker that is away for a
shorter time ends nothing."""

MEMORY = Path("/tmp/trackly-health.json")
"""Where a health check finds what the one before it saw."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What `/readyz` says. `progress` grows while the service does what it must before it is ready, such as reading
    its tables back from Kafka."""

    ready: bool
    progress: float = 0.0


def ask(port: int, timeout: float = 1.0) -> Answer:
    """Ask a service of this machine. One that does not answer is not ready."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=timeout) as answer:
            return Answer(answer.status == 200)
    except urllib.error.HTTPError as error:
        try:
            return Answer(False, float(json.loads(error.read())["progress"]))
        except (OSError, ValueError, LookupError, TypeError):
            return Answer(False)
    except (OSError, ValueError):
        return Answer(False)


class Patience:
    """Judges a service by its answers. Times are in seconds, of any clock that does not go back."""

    def __init__(self, limit: float = DEAD_AFTER) -> None:
        self._limit = limit
        self._since: float | None = None
        self._progress = 0.0

    def is_over(self, answer: Answer, now: float) -> bool:
        """Whether the service has been neither ready nor moving for too long."""
        if answer.ready:
            self._since = None
        elif self._since is None or answer.progress > self._progress:
            self._since = now
            self._progress = answer.progress
        return self._since is not None and now - self._since >= self._limit

    def remember(self, path: Path) -> None:
        """Write down what has been seen."""
        path.write_text(json.dumps({"since": self._since, "progress": self._progress}), "utf-8")

    @classmethod
    def remembered(cls, path: Path, limit: float = DEAD_AFTER) -> Patience:
        """What was written down last; nothing seen yet where there is nothing."""
        patience = cls(limit)
        try:
            known: Any = json.loads(path.read_text("utf-8"))
            patience._since, patience._progress = known["since"], float(known["progress"])
        except (OSError, ValueError, LookupError, TypeError):
            pass
        return patience


def children_of_init(proc: Path = Path("/proc")) -> list[int]:
    """Processes that the first process of this container started: the service. None outside a container."""
    found = []
    for entry in proc.iterdir():
        if entry.name.isdecimal():
            try:
                status = (entry / "stat").read_text("utf-8", "replace")
            except OSError:
                continue  # it has ended
            # The name, in parentheses, may hold anything.
            parent = int(status.rpartition(")")[2].split()[1])
            if parent == 1 and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


def main(port: int, memory: Path = MEMORY, limit: float = DEAD_AFTER) -> int:
    """Check the service of this container once; kill it when it counts as dead. Exit code 0: it is ready."""
    answer = ask(port, timeout=3.0)
    patience = Patience.remembered(memory, limit)
    if patience.is_over(answer, time.monotonic()):
        for process in children_of_init():
            os.kill(process, signal.SIGKILL)
    patience.remember(memory)
    return 0 if answer.ready else 1


def probe(port: int, memory: Path | None = None, limit: float = DEAD_AFTER) -> int:
    """Check a service once, for an orchestrator that kills it itself. Exit code 1: it counts as dead."""
    answer = ask(port, timeout=3.0)
    memory = memory or memory_of_this_start()
    patience = Patience.remembered(memory, limit)
    is_dead = patience.is_over(answer, time.monotonic())
    patience.remember(memory)
    return int(is_dead)


def memory_of_this_start(proc: Path = Path("/proc")) -> Path:
    """A file for what was seen of the container's first process. Its directory may outlive the container."""
    try:
        started = (proc / "1" / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        started = "unknown"
    return MEMORY.with_stem(f"{MEMORY.stem}-{started}")


if __name__ == "__main__":
    check = probe if sys.argv[1] == "--probe" else main
    sys.exit(check(int(sys.argv[-1])))
