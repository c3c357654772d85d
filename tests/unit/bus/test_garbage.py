"""Garbage is collected on a schedule in services, and nowhere else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bus.garbage import FULL_AT_LAST, FULL_EVERY, FullOnes


def test_a_full_collection_waits_for_a_quiet_moment() -> None:
    full = FullOnes(0.0, 0.0)
    assert not full.is_due(FULL_EVERY - 1, 0.0)
    assert not full.is_due(FULL_EVERY + 1, 1.0)
    assert full.is_due(FULL_EVERY + 6, 1.1)
    assert not full.is_due(FULL_EVERY + 11, 1.1)


def test_a_process_that_is_never_quiet_has_one_all_the_same() -> None:
    full = FullOnes(0.0, 0.0)
    due = [at for at in range(5, int(2 * FULL_AT_LAST), 5) if full.is_due(float(at), 0.9 * at)]
    assert due == [FULL_AT_LAST]


@pytest.mark.parametrize(("begin", "is_planned"), [("be_a_service()", True), ("pass", False)])
def test_only_a_service_sets_apart_what_it_has_made(begin: str, is_planned: bool) -> None:
    program = (
        "import asyncio, gc\n"
        "from bus.ending import be_a_service\n"
        "from bus.garbage import THRESHOLDS, collect_by_plan\n"
        f"{begin}\n"
        "async def main(): collect_by_plan()\n"
        "asyncio.run(main())\n"
        "print(gc.get_freeze_count() > 10_000, gc.get_threshold() == THRESHOLDS)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(is_planned)] * 2
