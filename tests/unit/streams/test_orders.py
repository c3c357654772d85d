"""Orders of machines with different clocks count in the order in which Kafka received them."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from schemas.records import AuditEntry, ContactCommand, ContactState, InboundMessage, Receipt, RestoredEvent
from tests.unit.streams.contact_records import ABSENT, LIST, NUMBER, SPAM, START_OF_DAY, command, inbound, receipt
from tests.unit.streams.contact_stage import NOT_REGISTERING, ONE_LIST, Stage

MINUTE = 60_000


def given(stage: Stage, order: str, got_at: int, ahead: int = 0) -> ContactCommand:
    """An order that Kafka got at a time, given by a clock that is ahead (or behind) by some ms."""
    record = command(order, got_at + ahead)
    stage.got_at[record.event_id] = START_OF_DAY + got_at
    return record


def stage() -> Stage:
    return Stage(NOT_REGISTERING, ONE_LIST)


def test_a_restore_by_a_clock_that_is_ahead_leaves_later_removals_in_force() -> None:
    worker = stage()
    worker.apply(inbound("STOP", 1_000, id="SM1"), given(worker, "restore", 2 * MINUTE, ahead=10 * MINUTE))
    assert worker.contact(NUMBER).active
    worker.apply(given(worker, "remove", 3 * MINUTE))
    assert not worker.contact(NUMBER).active


def test_a_restore_that_is_copied_to_other_topics_leaves_removals_in_force_that_came_after_it() -> None:
    worker = stage()
    worker.apply(inbound("STOP", 2 * MINUTE, id="SM1"))
    worker.apply_copied(given(worker, "restore", MINUTE), START_OF_DAY + 10 * MINUTE)
    assert not worker.contact(NUMBER).active


def test_failures_after_a_restore_by_a_clock_that_is_ahead_count() -> None:
    worker = stage()
    worker.apply(given(worker, "restore", MINUTE, ahead=10 * MINUTE))
    worker.apply(*[receipt(f"m{n}", ABSENT, 2 * MINUTE + n) for n in range(3)])
    assert worker.contact(NUMBER).reason == "bad_response"


def test_a_restore_by_a_clock_that_is_behind_restores() -> None:
    worker = stage()
    worker.apply(inbound("STOP", MINUTE, id="SM1"), given(worker, "restore", MINUTE + 3_000, ahead=-5_000))
    assert worker.contact(NUMBER).active


@pytest.mark.parametrize("ahead", [-10 * MINUTE, 0, 10 * MINUTE])
def test_of_a_removal_and_a_restore_the_one_that_kafka_got_last_counts(ahead: int) -> None:
    worker = stage()
    worker.apply(given(worker, "remove", MINUTE, ahead), given(worker, "restore", MINUTE, -ahead))
    assert worker.contact(NUMBER).active
    worker.apply(given(worker, "remove", 2 * MINUTE, -ahead))
    assert not worker.contact(NUMBER).active


def test_an_order_that_comes_again_at_a_later_place_does_not_undo_what_happened_in_between() -> None:
    worker = stage()
    restore = given(worker, "restore", MINUTE)
    worker.apply(restore, inbound("STOP", 2 * MINUTE, id="SM1"))
    worker.got_at[restore.event_id] = START_OF_DAY + 3 * MINUTE
    assert worker.apply(restore) == []
    assert not worker.contact(NUMBER).active


class TestAnOrderThatChangedNothing:
    def test_says_so_in_the_audit_log(self) -> None:
        worker = stage()
        worker.apply(receipt("m1", SPAM, 2 * MINUTE))
        restore = replace(given(worker, "restore", MINUTE), issued_by="ops@example.com")
        [entry] = worker.apply(restore)
        assert isinstance(entry, AuditEntry)
        assert (entry.action, entry.outcome, entry.object, entry.actor) == (
            "contact.restore",
            "refused",
            NUMBER,
            "ops@example.com",
        )
        details = json.loads(entry.details)
        assert (details["list"], details["reason"]) == (LIST, "complaint")
        assert "removed after this order" in details["note"]

    def test_says_so_too_if_the_contact_is_removed_from_every_list(self) -> None:
        worker = stage()
        everywhere = command("remove", 2 * MINUTE, list_number="")
        worker.got_at[everywhere.event_id] = START_OF_DAY + 2 * MINUTE
        worker.apply(everywhere)
        [entry] = [each for each in worker.apply(given(worker, "restore", MINUTE)) if isinstance(each, AuditEntry)]
        assert entry.outcome == "refused"
        restored = worker.apply(given(worker, "restore", 3 * MINUTE))
        assert [each for each in restored if isinstance(each, AuditEntry)] == []
        assert worker.state(NUMBER).active

    def test_says_so_once(self) -> None:
        worker = stage()
        worker.apply(receipt("m1", SPAM, 2 * MINUTE))
        restore = given(worker, "restore", MINUTE)
        assert len(worker.apply(restore, restore)) == 1

    def test_says_nothing_when_it_is_read_again_after_it_was_carried_out(self) -> None:
        worker = stage()
        worker.apply(inbound("STOP", 1_000, id="SM1"))
        restore = given(worker, "restore", MINUTE)
        assert [type(event) for event in worker.apply(restore)] == [RestoredEvent, ContactState]
        worker.apply(inbound("STOP", 2 * MINUTE, id="SM2"))
        assert worker.apply(restore) == []


@pytest.mark.parametrize("removal", [inbound("STOP", 10 * MINUTE, id="SM1"), receipt("m1", SPAM, 10 * MINUTE)])
def test_a_restore_works_while_the_clock_of_ingest_is_ahead(removal: InboundMessage | Receipt) -> None:
    worker = stage()
    worker.got_at[removal.event_id] = START_OF_DAY + MINUTE
    worker.apply(removal)
    assert not worker.contact(NUMBER).active
    worker.apply(given(worker, "restore", 2 * MINUTE))
    assert worker.contact(NUMBER).active
