"""Distributes tests: whole runs use every core, and the slowest files begin first.

A test file stays on one worker, which has its own broker, database, and browser, so module fixtures are created once.
`durations.json` has each file's duration (wall seconds on two cores); it only affects the order. `python -m pytest
--store-durations` updates it.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler.loadfile import LoadFileScheduling
from xdist.workermanage import WorkerController

DURATIONS = Path(__file__).with_name("durations.json")
WORTH_STORING = 0.5
"""Seconds. Faster files come after the others, in their original order."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--store-durations", action="store_true", help="write how long each test file took, for the order of later runs"
    )


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Use one process for named files, a worker a core for unit tests, which compute nearly all the time, and twice as
    many with tests on a broker, which wait most of the time.
    """
    chosen = [argument.partition("::")[0] for argument in config.args]
    if all(argument.endswith(".py") for argument in chosen):
        return 0
    cores = os.cpu_count() or 1
    return cores if all("unit" in Path(argument).parts for argument in chosen) else 2 * cores


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slowest files first, so that no worker begins one when the others are done.

    Raises UsageError for two tests with the same id, one of which a parallel run would silently skip.
    """
    twice = [name for name, count in Counter(item.nodeid for item in items).items() if count > 1]
    if twice:
        raise pytest.UsageError(f"several tests have the id {twice[0]}")
    known: dict[str, float] = json.loads(DURATIONS.read_text("utf-8"))
    items.sort(key=lambda item: -known.get(_file_of(item.nodeid), 0.0))


class ByFile(LoadFileScheduling):
    """Distributes files as usual, but forgets those that are done and knows where each test is.

    The base class looks through all tests whenever one ends, which with ten thousand takes longer than many of them.
    """

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        self._places: dict[str, int] = {}

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        super().mark_test_complete(node, item_index, duration)
        file = _file_of(self.registered_collections[node][item_index])
        if all(self.assigned_work[node][file].values()):
            del self.assigned_work[node][file]

    def _assign_work_unit(self, node: WorkerController) -> None:
        # Workers have collected the same tests in the same order, or the run would have ended.
        self._places = self._places or {name: place for place, name in enumerate(self.registered_collections[node])}
        file, tests = self.workqueue.popitem(last=False)
        self.assigned_work[node][file] = tests
        node.send_runtest_some([self._places[name] for name, done in tests.items() if not done])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile | None:
    return ByFile(config, log) if config.getoption("dist") == "loadfile" else None


class Durations:
    """Adds up the durations of each file's tests. In a parallel run, the controller gets all of them."""

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
