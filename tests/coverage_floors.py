"""A plugin that compares each package's line coverage by a whole test run with the floors in `pyproject.toml`:
`python -m pytest -p tests.coverage_floors`, as `make test` does if CI is set.

Lines are counted until they have run once, so it costs little: a few seconds per process of tests. Those that only run
in services started by tests are not counted, so a floor states what must not get worse, not what is tested.
"""

from __future__ import annotations

import importlib.util
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import Any

import pytest
import slipcover
from slipcover.importer import SlipcoverLoader

from tests.packages import PYPROJECT, ROOT

FLOORS: Mapping[str, float] = PYPROJECT["tool"]["trackly"]["coverage"]
"""Minimum percentage by package."""

Lines = Mapping[str, tuple[list[int], list[int]]]
"""By file, from the root: the lines that ran in a process, and those that did not."""

_COUNTING: list[slipcover.Slipcover] = []
_COUNTED: list[Lines] = []
"""The lines of all processes that have ended."""

_OF_A_WORKER = "lines"


def shares(processes: Iterable[Lines]) -> dict[str, float]:
    """Return the percentage of lines that ran in any of some processes, by package."""
    ran: defaultdict[str, set[int]] = defaultdict(set)
    known: defaultdict[str, set[int]] = defaultdict(set)
    for lines in processes:
        for file, (own, missing) in lines.items():
            ran[file].update(own)
            known[file].update(own, missing)
    done: Counter[str] = Counter()
    all_of: Counter[str] = Counter()
    for file, numbers in known.items():
        package = Path(file).parts[0]
        done[package] += len(ran[file])
        all_of[package] += len(numbers)
    return {package: 100 * done[package] / count for package, count in all_of.items() if count}


def pytest_load_initial_conftests() -> None:
    """Import the packages' modules with counters built in, from now on."""
    packages = [str(ROOT / package) for package in FLOORS]
    counting = slipcover.Slipcover(source=packages, immediate=True)
    own = slipcover.FileMatcher(sources=packages)
    _COUNTING.append(counting)
    slipcover.ImportManager(counting, own).__enter__()
    make_spec: Callable[..., ModuleSpec | None] = importlib.util.spec_from_file_location

    def spec_from_file_location(*arguments: Any, **options: Any) -> ModuleSpec | None:
        # Alembic loads migrations by their paths. slipcover's own wrapper takes packages for modules.
        spec = make_spec(*arguments, **options)
        if spec is not None and isinstance(spec.loader, SourceFileLoader) and own.matches(spec.origin):
            assert spec.origin is not None
            spec.loader = SlipcoverLoader(counting, spec.loader, spec.origin)
        return spec

    importlib.util.spec_from_file_location = spec_from_file_location


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand this process's lines over, or fail if those of all are below a floor."""
    files = _COUNTING[0].get_coverage()["files"]
    own = {name: (file["executed_lines"], file["missing_lines"]) for name, file in files.items()}
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_OF_A_WORKER] = own
        return
    _COUNTED.append(own)
    if any(share < FLOORS[package] for package, share in shares(_COUNTED).items()) and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over the lines of a process that has ended."""
    _COUNTED.append(getattr(node, "workeroutput", {}).get(_OF_A_WORKER, {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a line per package."""
    for package, share in sorted(shares(_COUNTED).items()):
        floor = FLOORS[package]
        end = "" if share >= floor else " BELOW THE FLOOR"
        terminalreporter.write_line(f"coverage of {package:10} {share:5.1f} % (floor {floor} %){end}")
