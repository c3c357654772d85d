"""A changelog was deleted and recreated: no removed contact becomes active by it."""

from __future__ import annotations

import pytest

from bus.layout import LayoutError
from bus.tables.table import ChangelogMadeAnew
from streams.app import check_not_lost, has_read
from tests.unit.streams.contact_records import DELIVERED, NUMBER, inbound, receipt
from tests.unit.streams.contact_stage import NOT_REGISTERING, ONE_LIST, Stage

CHANGELOG = ("changelog-contacts", 0)


def removed() -> Stage:
    """A stage in which one contact has opted out, and five messages to others were delivered."""
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(inbound("STOP", 1_000))
    stage.apply(*(receipt(f"m{n}", DELIVERED, n * 1_000, to=f"+1555000200{n}") for n in range(5)))
    assert not stage.contact(NUMBER).active
    return stage


def test_a_restart_with_the_same_changelog_goes_on() -> None:
    stage = removed()
    stage.restart()
    stage.lose_disk()
    assert not stage.contact(NUMBER).active


def test_an_empty_changelog_stops_the_worker_and_empties_nothing() -> None:
    stage = removed()
    stage.kafka.logs[CHANGELOG].clear()
    with pytest.raises(ChangelogMadeAnew, match="trackly tables rebuild-from-contacts"):
        stage.restart()
    assert stage.holds(NUMBER)


def test_another_changelog_that_is_longer_already_stops_the_worker() -> None:
    stage, other = removed(), Stage(NOT_REGISTERING, ONE_LIST)
    other.apply(*(receipt(f"y{n}", DELIVERED, n * 1_000, to=f"+1555000300{n}") for n in range(20)))
    stage.kafka.logs[CHANGELOG][:] = other.kafka.logs[CHANGELOG]
    with pytest.raises(ChangelogMadeAnew):
        stage.restart()


def test_an_empty_disk_takes_whatever_changelog_there_is() -> None:
    stage = removed()
    stage.kafka.logs[CHANGELOG].clear()
    stage.lose_disk()
    assert stage.contact(NUMBER).active


@pytest.mark.parametrize(
    ("states", "has_committed", "lost"),
    [(0, True, False), (3, False, False), (3, True, True), (2_001, False, True)],
    ids=["nothing yet", "a crash in the first batch", "after a commit", "a restored topic"],
)
def test_states_of_contacts_without_any_row_say_that_the_changelog_was_lost(
    states: int, has_committed: bool, lost: bool
) -> None:
    if not lost:
        check_not_lost("changelog", states, has_committed)
        return
    with pytest.raises(LayoutError, match="trackly tables rebuild-from-contacts"):
        check_not_lost("changelog", states, has_committed)


@pytest.mark.parametrize(
    ("offsets", "has_committed"),
    [
        ({}, False),
        ({("raw", 0): 5, ("receipts", 0): 0, ("receipts", 1): 3}, True),
        ({("raw", 0): 5, ("raw", 1): 3}, False),
        ({("raw", 0): 5, ("receipts", 0): 0, ("inbound", 1): 0}, False),
    ],
    ids=["nothing yet", "contacts", "another stage alone", "only where it starts"],
)
def test_only_what_the_stage_of_contacts_has_read_for_good_says_that_rows_were_written(
    offsets: dict[tuple[str, int], int], has_committed: bool
) -> None:
    assert has_read({"receipts", "inbound"}, offsets) is has_committed
