"""Who runs which test: whole runs use every core, and the files that take longest begin first.

A file of tests stays with one worker, which has its own broker, database and browser: fixtures of a module are made
once. `durations.json` says how long each file took (wall seconds on two cores); it decides about order and nothing
else. `python -m pytest --store-durations` measures anew.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

DURATIONS = Path(__file__).with_name("durations.json")
WORTH_STORING = 0.5
"""Seconds. Files that take less are put behind the others as they come."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--store-durations", action="store_true", help="write how long each file of tests took, for the order of runs"
    )


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process for the files that somebody names; for folders one worker more than cores, as unit tests wait for
    timers and databases here and there, and twice as many where tests on a broker are among them, which wait most of
    their time."""
    chosen = [argument.partition("::")[0] for argument in config.args]
    if all(argument.endswith(".py") for argument in chosen):
        return 0
    cores = os.cpu_count() or 1
    return cores + 1 if all("unit" in Path(argument).parts for argument in chosen) else 2 * cores


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that took longest first, so that no worker begins one when the others are done.

    Raises UsageError for two tests of one id, of which a parallel run would leave one out without a word.
    """
    twice = [name for name, count in Counter(item.nodeid for item in items).items() if count > 1]
    if twice:
        raise pytest.UsageError(f"several tests have the id {twice[0]}")
    known: dict[str, float] = json.loads(DURATIONS.read_text("utf-8"))
    items.sort(key=lambda item: -known.get(_file_of(item.nodeid), 0.0))


class Durations:
    """Adds up how long the tests of each file took. In a parallel run the controller hears of all of them."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[_file_of(report.nodeid)] += report.duration

    def pytest_sessionfinish(self) -> None:
        kept: dict[str, float] = json.loads(DURATIONS.read_text("utf-8"))
        kept = {name: seconds for name, seconds in kept.items() if _exists(name)}
        kept |= {name: round(seconds, 1) for name, seconds in self._seconds.items()}
        DURATIONS.write_text(_as_json((n, s) for n, s in kept.items() if s >= WORTH_STORING), "utf-8")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--store-durations") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Durations())


def _as_json(durations: Iterable[tuple[str, float]]) -> str:
    return json.dumps(dict(sorted(durations, key=lambda entry: (-entry[1], entry[0]))), indent=1) + "\n"


def _file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def _exists(name: str) -> bool:
    return (DURATIONS.parents[1] / name).exists()
