"""Compares each package's line coverage by the whole test run with the floors in `pyproject.toml`.

`make test` does so if CI is set: on Python 3.11, counting lines doubles the time of the tests' own process. Lines that
only run in processes started by tests are not counted, so a floor states what must not get worse, not what is tested.
"""

from __future__ import annotations

import sys
import tomllib
from collections import Counter
from pathlib import Path

from coverage import Coverage

ROOT = Path(__file__).parents[1]


def shares(coverage: Coverage) -> dict[str, float]:
    """Return the percentage of lines that ran, by package."""
    lines: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    for path in ROOT.glob("*/**/*.py"):
        package = path.relative_to(ROOT).parts[0]
        if package in floors():
            _, statements, _, not_run, _ = coverage.analysis2(str(path))
            lines[package] += len(statements)
            missing[package] += len(not_run)
    return {package: 100 * (1 - missing[package] / lines[package]) for package in floors()}


def floors() -> dict[str, float]:
    """Return the minimum percentage by package."""
    found: dict[str, float] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["trackly"]["coverage"]
    return found


def main() -> int:
    """Print a line per package; returns 1 if one is below its floor."""
    coverage = Coverage()
    coverage.load()
    below = False
    for package, share in shares(coverage).items():
        floor = floors()[package]
        below |= share < floor
        print(
            f"coverage of {package:10} {share:5.1f} % (floor {floor} %){'' if share >= floor else ' BELOW THE FLOOR'}"
        )
    return int(below)


if __name__ == "__main__":
    sys.exit(main())
