"""The content of a contacts export, from the newest states gathered."""

from __future__ import annotations

import csv
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from bus.memory import CODEC
from bus.tables.store import MemoryStore
from bus.tables.versions import pack
from schemas.ids import contact_key
from schemas.records import ContactState
from trackly.commands.contact.export import _of_account, _of_list, _write, _writer

LIST, OTHER = "+18005551234", "+18005559999"
NUMBERS = ["+15551230001", "+15551230002", "+15551230003"]
DECODER: Any = SimpleNamespace(codec=CODEC)


def state(list_number: str, number: str, active: bool = False, **changes: Any) -> ContactState:
    return ContactState(
        contact=contact_key("acme", list_number, number), account="acme", list_number=list_number, phone_number=number,
        active=active, failures=0, reason=None if active else "message", since=7, last_event_id="evt_1", **changes,
    )  # fmt: skip


def store_of(*states: ContactState) -> MemoryStore:
    store = MemoryStore()
    # As RocksDB has them: sorted by key.
    store.write(
        {each.contact.encode(): pack(1, CODEC.encode(each)) for each in sorted(states, key=lambda each: each.contact)},
        None,
    )
    return store


def shown(states: Any) -> list[tuple[str, str, bool, str]]:
    return [(each.list_number, each.phone_number, each.active, each.scope) for each in states]


def test_a_list_has_its_contacts_and_those_that_are_out_for_the_whole_account_sorted_by_number() -> None:
    first, second, third = NUMBERS
    store = store_of(
        state(LIST, first, active=True),
        state(LIST, third),
        state("", second, scope="account"),
        state("", third, scope="account"),
    )
    assert shown(_of_list(DECODER, store, "acme", LIST)) == [
        (LIST, first, True, "list"),
        (LIST, second, False, "account"),
        (LIST, third, False, "list"),
    ]


def test_a_contact_that_came_back_to_a_list_is_not_out_there() -> None:
    store = store_of(state("", NUMBERS[0], scope="account", except_lists=(LIST,)))
    assert shown(_of_list(DECODER, store, "acme", LIST)) == []
    assert shown(_of_list(DECODER, store, "acme", OTHER)) == [(OTHER, NUMBERS[0], False, "account")]


def test_an_account_has_what_holds_for_all_of_its_lists_too() -> None:
    store = store_of(state(LIST, NUMBERS[0], active=True), state("", NUMBERS[0], scope="account"))
    assert sorted(shown(_of_account(DECODER, store))) == [
        (LIST, NUMBERS[0], False, "account"),
        ("all", NUMBERS[0], False, "account"),
    ]


CANONICAL, OLD = "+525512345678", "+5215512345678"


def under_old_spelling(list_number: str, **changes: Any) -> ContactState:
    return replace(state(list_number, OLD, **changes), contact=f"acme:{list_number}:{OLD}")


@pytest.mark.parametrize("states_of", [lambda store: _of_list(DECODER, store, "acme", LIST),
                                       lambda store: _of_account(DECODER, store)])  # fmt: skip
@pytest.mark.parametrize(
    "states",
    [
        [under_old_spelling(LIST)],
        [under_old_spelling(LIST), state(LIST, CANONICAL, active=True)],
        [under_old_spelling(LIST, active=True), state(LIST, CANONICAL)],
        [under_old_spelling(LIST, active=True), state("", CANONICAL, scope="account")],
        [state(LIST, CANONICAL, active=True), under_old_spelling("", scope="account")],
    ],
)
def test_a_removal_under_any_spelling_of_a_number_is_exported_and_no_other_state_of_it(
    states: list[ContactState], states_of: Any
) -> None:
    exported = [each for each in states_of(store_of(*states)) if each.list_number == LIST]
    assert [each.active for each in exported] == [False]


def test_csv_has_numbers_as_they_are_and_no_formulas() -> None:
    file = StringIO()
    _write([state("=cmd|' /C calc'!A0", NUMBERS[0])], False, _writer(file, "csv"))
    (row,) = csv.DictReader(file.getvalue().splitlines())
    assert row["number"] == NUMBERS[0]
    assert row["list_number"] == "'=cmd|' /C calc'!A0"
