"""Contacts' states carry their row's version, and are republished if they may have been overtaken."""

from __future__ import annotations

from bus.memory import CODEC, Record
from bus.tables.versions import least_version
from schemas.records import ContactState
from schemas.records import Record as SchemaRecord
from streams.publisher import REACH_MS
from tests.unit.streams.contact_records import (
    ABSENT,
    ACCOUNT,
    DELIVERED,
    LIST,
    NUMBER,
    SPAM,
    UNSUBSCRIBED,
    command,
    inbound,
    receipt,
)
from tests.unit.streams.contact_stage import NOT_REGISTERING, ONE_LIST, Stage

CONTACT, WHOLE = (f"{ACCOUNT}:{each}:{NUMBER}".encode() for each in (LIST, ""))
REACH = REACH_MS / 1000


def published(stage: Stage, contact: bytes = CONTACT) -> list[Record]:
    """Everything on the topic of contacts about one."""
    return [record for record in stage.kafka.sent if record.topic == "sms.contacts" and record.key == contact]


def states(stage: Stage) -> list[ContactState]:
    return [CODEC.decode_as(ContactState, record.value) for record in published(stage) if record.value is not None]


def version_header(record: Record) -> int:
    return int(dict(record.headers)["version"])


def test_each_state_of_a_contact_has_a_higher_version_in_the_record_and_its_header() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(receipt("m1", ABSENT, 1), receipt("m2", SPAM, 2), command("restore", 60_000))
    versions = [state.version for state in states(stage)]
    assert versions == sorted(set(versions))
    assert [version_header(record) for record in published(stage)] == versions


def test_a_later_generation_has_higher_versions_whatever_its_clock_says() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(receipt("m1", ABSENT, 1))
    stage.generation = 2
    stage.restart()
    stage.apply(receipt("m2", ABSENT, 2))
    first, second = states(stage)
    assert second.version > least_version(1, now=1 << 50) >= first.version


def test_what_was_published_after_a_takeover_is_published_once_more_when_no_predecessor_can_write() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(inbound("STOP", 1_000))
    assert stage.tick(REACH - 1) == []
    [again] = stage.tick(1)
    assert isinstance(again, ContactState)
    assert (again.active, again.reason) == (False, "message")
    assert again.version == states(stage)[0].version
    assert stage.tick(REACH) == []


def test_it_is_published_as_it_is_by_then() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(receipt("m1", ABSENT, 1), receipt("m2", DELIVERED, 2))
    [again] = stage.tick(REACH)
    assert isinstance(again, ContactState)
    assert again.failures == 0
    assert again.version == states(stage)[-1].version


def test_what_is_published_later_is_not_repeated() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(receipt("m1", ABSENT, 1))
    stage.tick(REACH)
    stage.apply(receipt("m2", ABSENT, 2))
    assert stage.tick(REACH) == []


def test_a_rebalance_begins_the_time_anew() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(inbound("STOP", 1_000))
    stage.generation = 2
    stage.tick(REACH - 1)
    assert stage.tick(REACH - 1) == []
    assert len(stage.tick(1)) == 1


def test_that_a_contact_was_erased_is_published_again_too() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(receipt("m1", ABSENT, 1), command("erase"))
    stage.tick(REACH)
    gone = published(stage)[-2:]
    assert [record.value for record in gone] == [None, None]
    assert version_header(gone[0]) > states(stage)[0].version
    assert version_header(gone[1]) >= version_header(gone[0])


def test_a_row_that_was_written_over_is_published_again_with_its_new_version() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(receipt("m1", UNSUBSCRIBED, 1))
    stage.write_over(CONTACT, version=1, value=None)
    [state] = stage.repair()
    assert isinstance(state, ContactState)
    assert not state.active
    assert state.version > states(stage)[0].version


def test_a_row_for_the_whole_account_of_a_number_that_was_never_out_is_not_published() -> None:
    stage = Stage(NOT_REGISTERING)
    stage.apply(inbound("hello", to="+18005550000"))
    stage.write_over(WHOLE, version=1, value=b"x")
    assert stage.repair() == []


def shown(records: list[SchemaRecord]) -> list[tuple[str, bool, str | None, str]]:
    return [(e.list_number, e.active, e.reason, e.scope) for e in records if isinstance(e, ContactState)]


def test_a_state_that_is_published_again_is_held_against_the_account() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(inbound("hello", id="SM1"), inbound("STOP", 1, id="SM2", to="acme_agent"))
    stage.write_over(CONTACT, version=1, value=None)
    assert shown(stage.repair()) == [(LIST, False, "message", "account")]


def test_with_the_state_for_the_whole_account_those_on_its_lists_are_published_again() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(inbound("STOP", to="acme_agent"))
    stage.write_over(WHOLE, version=1, value=None)
    assert shown(stage.repair()) == [("", False, "message", "account"), (LIST, False, "message", "account")]


def test_a_state_has_no_lower_version_when_that_for_the_whole_account_changes() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(receipt("m1", ABSENT, 1), inbound("STOP", 60_000, to="acme_agent"))
    stage.apply(inbound("START", 90_000, id="SM2", to="acme_agent"), receipt("m2", ABSENT, 100_000))
    versions = [state.version for state in states(stage)]
    assert len(versions) == 4
    assert versions == sorted(versions)


def test_after_a_takeover_what_holds_for_the_whole_account_is_published_once_more() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(inbound("STOP", to="acme_agent"))
    again = stage.tick(REACH)
    assert sorted(shown(again)) == [("", False, "message", "account"), (LIST, False, "message", "account")]
