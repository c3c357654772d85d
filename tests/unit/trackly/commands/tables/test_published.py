"""The topic of contacts is a function of the contacts table."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from bus.memory import CODEC
from bus.tables.store import MemoryStore
from bus.tables.versions import Row, keep_newest, unpack, version_in
from schemas.records import ContactState, ListConfig
from tests.unit.streams.contact_records import ABSENT, ACCOUNT, DELIVERED, LIST, SPAM, command, inbound, receipt
from tests.unit.streams.contact_stage import CATALOGUE, NOT_REGISTERING, ONE_LIST, Stage
from trackly.commands.tables.published import states

OTHER = "+18005550002"
LISTS = {LIST: ONE_LIST, OTHER: ListConfig(account=ACCOUNT, number=OTHER)}


def two_lists() -> Stage:
    return Stage(NOT_REGISTERING, *LISTS.values())


def rows(stage: Stage) -> Iterator[tuple[bytes, Row]]:
    for record in stage.kafka.sent:
        if record.topic == "changelog-contacts" and record.key is not None:
            yield record.key, (version_in(record.headers) or 0, None) if record.value is None else unpack(record.value)


def derived(stage: Stage) -> dict[str, ContactState]:
    """The state of each contact, by its key, as derived from the changelog."""
    store = MemoryStore()
    keep_newest(store, rows(stage))
    return {state.contact: compared(state) for state in states(store, lambda _: LISTS)}


def published(stage: Stage) -> dict[str, ContactState]:
    """The state of each contact, by its key, as streams has published it."""
    newest = {each.key: each.value for each in stage.kafka.sent if each.topic == CATALOGUE["contacts"].name}
    found = (CODEC.decode_as(ContactState, value) for value in newest.values() if value is not None)
    return {state.contact: compared(state) for state in found}


def compared(state: ContactState) -> ContactState:
    """A state without what may differ: its event, its version, and since when a contact is active that did not become
    so with this state.
    """
    return replace(state, last_event_id="", version=0, since=0 if state.active else state.since)


def test_states_of_a_list_are_those_that_were_published() -> None:
    stage = two_lists()
    stage.apply(receipt("m1", ABSENT, 1), receipt("m2", ABSENT, 2), inbound("STOP", 3_000, from_="+15550000001"))
    stage.apply(receipt("m3", SPAM, 4, to="+15550000002"), receipt("m4", DELIVERED, 5))
    stage.apply(command("remove", 60_000), command("restore", 61_000))
    assert derived(stage) == published(stage)
    assert {state.reason for state in derived(stage).values()} == {None, "message", "complaint"}


def test_a_removal_from_every_list_is_published_on_each_of_them() -> None:
    stage = two_lists()
    stage.apply(inbound("STOP", 1_000, to="+18889990000"))
    assert {state.list_number: state.active for state in derived(stage).values()} == {
        "": False,
        LIST: False,
        OTHER: False,
    }
    assert derived(stage) == published(stage)


def test_a_start_to_one_list_after_a_removal_from_every_list_is_published() -> None:
    stage = two_lists()
    stage.apply(inbound("STOP", 1_000, to="+18889990000"), inbound("START", 2_000, id="start"))
    assert {state.list_number: state.active for state in derived(stage).values()} == {
        "": False,
        LIST: True,
        OTHER: False,
    }
    assert derived(stage) == published(stage)


def test_an_erased_number_is_published_under_its_pseudonym_alone() -> None:
    stage = two_lists()
    stage.apply(inbound("STOP", 1_000), command("erase", 60_000))
    assert [state.phone_number[:5] for state in derived(stage).values() if not state.active] == ["anon_"]
    assert derived(stage) == published(stage)


def test_a_row_that_was_written_late_changes_nothing() -> None:
    stage = two_lists()
    stage.apply(inbound("STOP", 1_000))
    (contact, (version, _)), *_ = rows(stage)
    stage.write_over(contact, version - 1, None)
    assert derived(stage) == published(stage)
    assert [state.active for state in derived(stage).values()] == [False]


def test_a_state_has_at_least_the_version_under_which_it_was_published() -> None:
    stage = two_lists()
    stage.apply(inbound("STOP", 1_000, to="+18889990000"), inbound("START", 2_000, id="start"))
    store = MemoryStore()
    keep_newest(store, rows(stage))
    told = {each.key: version_in(each.headers) for each in stage.kafka.sent if each.topic == CATALOGUE["contacts"].name}
    assert all(state.version >= (told[state.contact.encode()] or 0) for state in states(store, lambda _: LISTS))
