"""The loop is really blocked here: nothing else can show whether its lateness is noticed."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest
import uvloop

from sinks.webhooks import loop_lag
from sinks.webhooks.loop_lag import TICK, LoopLag


async def _held(seconds: float) -> tuple[float, float]:
    """Return what is measured of a stall in the next turn, and some ticks later."""
    lag = LoopLag()
    before = lag()
    await asyncio.sleep(2 * TICK)
    time.sleep(seconds)  # noqa: ASYNC251 - that is the point
    at_once = lag() - before
    await asyncio.sleep(5 * TICK)
    return at_once, lag() - before


def test_time_for_which_the_loop_was_held_is_seen_at_once_and_counted_once() -> None:
    for run in (asyncio.run, uvloop.run):
        at_once, later = run(_held(0.15))
        assert at_once >= 0.15 - TICK
        # A busy machine may add to it.
        assert later >= at_once


async def test_ticks_that_are_as_late_as_timers_are_add_up_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(loop_lag, "time", SimpleNamespace(monotonic=lambda: now))
    lag = LoopLag()
    before = lag()
    for late in (0.0011,) * 500 + (0.3,):
        now += TICK + late
        lag._tick()
    assert lag() - before == pytest.approx(0.3)


async def test_nobody_ticks_when_nobody_asks() -> None:
    lag = LoopLag()
    lag()
    assert lag._timer is not None
    lag._asked_at -= loop_lag.LINGER
    lag._tick()
    assert lag._timer is None
    before = lag()
    assert lag._timer is not None
    assert lag() - before < 60
