"""A few cases of the fault bench: a kill between two steps of a batch loses nothing and counts nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.faults.case import Ground
from bench.faults.crashes import crashes

pytestmark = [pytest.mark.broker, pytest.mark.slow]

STEPS = ("contacts: after events", "contacts: before the store")


async def test_a_kill_between_two_steps_of_a_batch_leaves_balanced_books(broker: str, tmp_path: Path) -> None:
    results = [result async for result in crashes(Ground(broker, tmp_path, seed=7, away=0), STEPS)]
    assert [result.figures() for result in results if not result.ok] == []
    assert len(results) == len(STEPS)
