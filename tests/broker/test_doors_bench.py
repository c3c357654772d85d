"""The doors bench measures both services; their speed is not tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.doors.run import CEILING, costs

pytestmark = pytest.mark.broker


def test_each_door_answers_and_its_figures_are_there(broker: str, tmp_path: Path) -> None:
    found = list(costs(broker, tmp_path, "nothing special"))
    assert {cost.door for cost in found} == {"ingest", "console"}
    assert all(cost.answer.isdigit() for cost in found), found
    assert all(0 < cost.longest_ms <= cost.all_ms and 0 < cost.peak_bytes <= CEILING for cost in found)
