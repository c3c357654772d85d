"""The health of a process itself, as shown by `/metrics`."""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import generate_latest

from bus import vitals
from bus.health import Health
from bus.vitals import Vitals
from tests.patience import PATIENCE


def exposed(health: Health) -> list[str]:
    return generate_latest(health.registry).decode().splitlines()


def value(health: Health, name: str, **labels: str) -> float:
    return health.registry.get_sample_value(name, labels) or 0.0


async def test_a_blocked_event_loop_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vitals, "ASK_EVERY", 0.01)
    health = Health("streams")
    watching = Vitals(health)
    watching.start()
    try:
        await asyncio.sleep(0)
        time.sleep(0.12)  # noqa: ASYNC251 - it is what is to be seen
        async with asyncio.timeout(PATIENCE):
            while not value(health, "trackly_event_loop_lag_seconds_count"):
                await asyncio.sleep(0.005)
    finally:
        watching.stop()
    late = value(health, "trackly_event_loop_lag_seconds_bucket", le="+Inf")
    assert late - value(health, "trackly_event_loop_lag_seconds_bucket", le="0.1") >= 1


async def test_pauses_of_the_collector_are_measured_until_it_stops() -> None:
    health = Health("streams")
    watching = Vitals(health)
    watching.start()
    gc.collect()
    watching.stop()
    counted = value(health, "trackly_gc_pause_seconds_count", generation="full")
    gc.collect()
    assert counted >= 1
    assert value(health, "trackly_gc_pause_seconds_count", generation="full") == counted


def test_what_the_producer_could_not_write_is_counted_by_error() -> None:
    health = Health("sinks")
    producer: Any = SimpleNamespace(failures=Counter(KafkaTimeoutError=3), renewals=1, waiting=2.5)
    Vitals(health, producer)
    lines = exposed(health)
    assert 'trackly_produce_errors_total{error="KafkaTimeoutError"} 3.0' in lines
    assert "trackly_producer_renewals_total 1.0" in lines
    assert "trackly_producer_waiting_seconds 2.5" in lines


def test_the_version_that_runs_is_told() -> None:
    assert any(line.startswith('trackly_build_info{service="ingest",version="') for line in exposed(Health("ingest")))


def test_memory_and_open_files_of_the_process_are_told() -> None:
    health = Health("streams")
    Vitals(health)
    told = {line.split(" ")[0] for line in exposed(health)}
    assert {"process_resident_memory_bytes", "process_open_fds", "process_max_fds"} <= told
