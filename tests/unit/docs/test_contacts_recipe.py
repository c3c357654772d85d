"""The recipe for readers of `sms.contacts` answers as the console does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict

from bus.memory import CODEC, MemoryStore
from bus.reading.replica import Replica
from bus.settings import BusSettings
from console.contacts.recorded import RecordedContacts
from schemas.ids import contact_key
from schemas.pseudonyms import Pseudonyms
from schemas.records import ContactState

RECIPE = Path(__file__).parents[3] / "docs" / "recipes" / "python" / "contacts.py"
SPEC = spec_from_file_location("contacts_recipe", RECIPE)
assert SPEC is not None
assert SPEC.loader is not None
recipe: Any = module_from_spec(SPEC)
SPEC.loader.exec_module(recipe)

LISTS = "+18005550001", "+18005550002"
NUMBER, USER = "+15550100001", "US.13491208655302741918"
KEY = "a key of pseudonyms"
PSEUDONYMS = Pseudonyms(KEY)
NAMES = NUMBER, USER, PSEUDONYMS.of("acme", NUMBER), PSEUDONYMS.of("acme", USER)


def state(list_number: str, name: str, active: bool, **fields: Any) -> ContactState:
    return ContactState(
        contact=contact_key("acme", list_number, name), account="acme", list_number=list_number, phone_number=name,
        active=active, failures=0, reason=None if active else "message", since=1, last_event_id="evt_1", **fields,
    )  # fmt: skip


@st.composite
def topics(draw: st.DrawFn) -> dict[str, ContactState]:
    """Whatever the topic may hold about a person: states of lists and of the account, under any of the names."""
    of_lists = [state(each, name, draw(st.booleans())) for each in LISTS for name in NAMES]
    exempt = st.sets(st.sampled_from(LISTS)).map(tuple)
    of_account = [
        state("", name, draw(st.booleans()), except_lists=draw(exempt),
              known_as=draw(st.sampled_from([None, NUMBER])) if name == USER else None)
        for name in NAMES
    ]  # fmt: skip
    return {each.contact: each for each in of_lists + of_account if draw(st.booleans())}


def console(states: Mapping[str, ContactState]) -> RecordedContacts:
    settings, store = BusSettings(), MemoryStore()
    store.write({key.encode(): CODEC.encode(each) for key, each in states.items()}, None)
    recorded = RecordedContacts(CODEC, Replica(settings, settings.catalogue["contacts"], store), PSEUDONYMS)
    asyncio.run(recorded.start())
    return recorded


def by_recipe(states: Mapping[str, ContactState], key: str | None = KEY) -> Any:
    contacts = recipe.Contacts(key)
    for contact, each in states.items():
        contacts.take(contact.encode(), [("version", b"1")], asdict(each))
    return contacts


@given(topics())
def test_a_person_may_be_texted_where_the_console_says_so(states: dict[str, ContactState]) -> None:
    contacts, recorded = by_recipe(states), console(states)
    for list_number in LISTS:
        for name in (NUMBER, USER):
            said = recorded.standing("acme", list_number, name)
            assert contacts.may_be_texted("acme", list_number, name) == (said is None or said.active)


def test_without_the_key_nobody_may_be_texted_once_numbers_were_erased() -> None:
    contacts = by_recipe({"acme::anon_x": state("", "anon_x", False)}, None)
    with pytest.raises(ValueError, match="erased"):
        contacts.may_be_texted("acme", LISTS[0], NUMBER)


def test_an_older_state_does_not_count_even_after_a_deletion() -> None:
    contacts = recipe.Contacts()
    key, removed = f"acme:{LISTS[0]}:{NUMBER}".encode(), asdict(state(LISTS[0], NUMBER, False))
    contacts.take(key, [("version", b"5")], removed)
    contacts.take(key, [("version", b"4")], None)
    assert not contacts.may_be_texted("acme", LISTS[0], NUMBER)
    contacts.take(key, [("version", b"6")], None)
    contacts.take(key, [("version", b"5")], removed)
    assert contacts.may_be_texted("acme", LISTS[0], NUMBER)
