"""A line counts as covered if any process of the tests went through it."""

from __future__ import annotations

import pytest

from tests.coverage_floors import Lines, shares


@pytest.mark.parametrize(
    ("processes", "expected"),
    [
        pytest.param([], {}, id="nothing counted"),
        pytest.param([{"bus/a.py": ([1, 2], [3, 4])}], {"bus": 50}, id="one process"),
        pytest.param([{"bus/a.py": ([1, 2], [3, 4])}, {"bus/a.py": ([2, 3], [1, 4])}], {"bus": 75}, id="one file, two"),
        pytest.param(
            [{"bus/a.py": ([1], [2]), "bus/tables/b.py": ([], [1, 2]), "hours/c.py": ([1], [])}],
            {"bus": 25, "hours": 100},
            id="a package is all of its files",
        ),
        pytest.param([{"bus/__init__.py": ([], [])}], {}, id="a file without lines"),
    ],
)
def test_shares_of_packages(processes: list[Lines], expected: dict[str, float]) -> None:
    assert shares(processes) == expected
