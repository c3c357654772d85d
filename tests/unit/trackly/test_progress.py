"""The progress of long work is shown on standard error, rarely if nobody watches."""

from __future__ import annotations

import pytest

from tests.clock import MovedClock
from trackly.progress import EVERY, Progress


def test_without_a_terminal_a_line_comes_every_so_often(capsys: pytest.CaptureFixture[str]) -> None:
    clock = MovedClock()
    progress = Progress("records", 4_000, clock)
    for done in range(1, 31):
        clock.now = done * EVERY / 10
        progress.tell(done * 100, "going well")
    progress.end()
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "records: 1,000 (25 %), 100/s, going well",
        "records: 2,000 (50 %), 100/s, going well",
        "records: 3,000 (75 %), 100/s, going well",
    ]


def test_what_has_no_end_is_told_without_a_share(capsys: pytest.CaptureFixture[str]) -> None:
    clock = MovedClock()
    progress = Progress("records", clock=clock)
    clock.now = EVERY
    progress.tell(50)
    assert capsys.readouterr().err == "records: 50, 5/s\n"


def test_what_is_added_is_told_in_all(capsys: pytest.CaptureFixture[str]) -> None:
    clock = MovedClock()
    progress = Progress("records", 400, clock)
    progress.add(100)
    clock.now = EVERY
    progress.add(200)
    assert capsys.readouterr().err == "records: 300 (75 %), 30/s\n"
