"""Workers are restarted one by one, as in a rollout: the others continue, nothing is lost or counted twice."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bench.cluster.cases import RESTARTED, restart_workers
from bench.cluster.stage import SERVICES
from bench.cluster.watched import Watched
from bench.faults.case import Ground

pytestmark = [pytest.mark.broker, pytest.mark.slow]


async def test_the_pipeline_goes_on_while_its_workers_are_restarted(broker: str, tmp_path: Path) -> None:
    async with Ground(broker, tmp_path, seed=7, away=0).house(*SERVICES) as house:
        watched, began = Watched(house), time.monotonic()
        try:
            slowest = await restart_workers(house, watched, "streams-1", "sinks-1")
        finally:
            await watched.stop()
        ended = time.monotonic()
        assert watched.crashes == {}
        assert (await house.balance()).wrong == {}
        # On a machine that does much else a worker takes long to start; the others do not wait for it.
        bound = max(RESTARTED, slowest / 2)
        assert watched.stored.longest(began, ended) < bound
        assert watched.delivered.longest(began, ended) < bound
