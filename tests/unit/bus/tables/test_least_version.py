"""Versions of rows: what is written later has a higher one, whatever the clocks of its writers say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bus.tables.versions import least_version

JUST_BEFORE_2058 = 2_777_000_000_000
TIMES = st.integers(0, JUST_BEFORE_2058)


@given(st.integers(0, 1_000_000), st.integers(0, 1 << 50), st.integers(0, 1 << 50))
def test_a_later_generation_wins_over_any_clock(generation: int, ahead: int, behind: int) -> None:
    assert least_version(generation + 1, behind) > least_version(generation, ahead)


@given(st.integers(0, 131_071), TIMES, st.integers(16, 1_000))
def test_in_one_generation_the_clock_decides(generation: int, now: int, later: int) -> None:
    began = 1_704_067_200_000  # 2024
    earlier, after = least_version(generation, now), least_version(generation, now + later)
    assert after > earlier if now >= began else after >= earlier


@given(st.integers(0, 131_071), TIMES)
def test_it_fits_a_double_for_a_hundred_thousand_rebalances(generation: int, now: int) -> None:
    version = least_version(generation, now) + 1_000
    assert int(float(version)) == version
