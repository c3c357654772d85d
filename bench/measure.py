"""Measures the cost of processes and the latency of events."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process, user and system, in seconds (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def compiling_seconds(pid: int) -> float:
    """Return the processor time of a JVM's compiler threads, in seconds (Linux)."""
    used = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        name, _, rest = (task / "stat").read_text().rpartition(")")
        if "Compiler" in name:
            fields = rest.split()
            used += (int(fields[11]) + int(fields[12])) / _TICKS
    return used


def resident_bytes(pid: int) -> int:
    """Return a process's memory, in bytes (Linux)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class CpuMeter:
    """Processor time of some processes since `start`."""

    def __init__(self, pids: Mapping[str, list[int]]) -> None:
        self._pids = pids
        self._before = self._now()

    def used(self) -> dict[str, float]:
        """Seconds by name."""
        return {name: now - self._before[name] for name, now in self._now().items()}

    def _now(self) -> dict[str, float]:
        return {name: sum(map(cpu_seconds, pids)) for name, pids in self._pids.items()}


def sent_times(path: Path) -> dict[str, int]:
    """Return when each message's callback was sent (monotonic ns), by id."""
    times: dict[str, int] = json.loads(path.read_text())
    return times


class Arrival(NamedTuple):
    """One webhook at an endpoint. `at` is monotonic ns, `crc` of its body; status 0: it was not answered."""

    endpoint: str
    webhook_id: str
    message_id: str
    at: int
    status: int
    crc: str


def arrivals(path: Path) -> list[Arrival]:
    """Return what `bench.receiver` has written so far."""
    lines = (line.split(" ") for line in path.read_text().splitlines())
    return [Arrival(*p[:3], int(p[3]), int(p[4]), p[5]) for p in lines if len(p) == 6]


def arrival_times(path: Path) -> tuple[dict[str, int], int]:
    """Return when each message's first webhook was accepted (monotonic ns), by id, and how many were accepted again."""
    first: dict[str, int] = {}
    repeated = 0
    for arrival in arrivals(path):
        if not arrival.status:
            continue
        if arrival.message_id in first:
            repeated += 1
        else:
            first[arrival.message_id] = arrival.at
    return first, repeated


def percentile(values: list[float], share: float) -> float:
    """Return the value below which this share of the values lies; 0 if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
