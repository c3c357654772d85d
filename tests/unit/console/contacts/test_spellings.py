"""Contacts are found under every spelling of their number."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from accounts.suppression import strictest, unrecorded
from bus.memory import CODEC
from console.queries.contacts import ContactsFilter, listed_contacts
from console.queries.filters import searched
from database.tables import contacts, messages, replies
from schemas.ids import contact_names
from schemas.pseudonyms import Pseudonyms
from schemas.records import ContactCommand, ContactState, ListConfig
from tests.unit.console import rows
from tests.unit.console.console_parts import LIST, Api

KEY = "a key of pseudonyms"
WITH_AN_UNESCAPED_PLUS = " 18005551234"  # what `?list_number=+18005551234` says
CANONICAL, OLD = "+525512345678", "+5215512345678"
ACTIVE = unrecorded("acme", LIST, CANONICAL)
REMOVED = replace(ACTIVE, active=False, reason="message")


@pytest.fixture
def api() -> Api:
    api = Api()
    api.complete(seconds_ago=1)
    return api


async def may_be_texted(api: Api, number: str) -> bool:
    answer = await api.post("/api/contacts/check", json={"list_number": LIST, "numbers": [number]})
    return bool(answer.json()["contacts"][0]["may_be_texted"])


@pytest.mark.parametrize("recorded_as", [CANONICAL, OLD])
@pytest.mark.parametrize("asked_for", [CANONICAL, OLD, "52 1 55 1234 5678", "whatsapp:+5215512345678"])
async def test_a_number_that_is_out_under_one_spelling_may_be_texted_under_none(
    api: Api, recorded_as: str, asked_for: str
) -> None:
    assert await may_be_texted(api, asked_for)
    api.store.write({f"acme:{LIST}:{recorded_as}".encode(): CODEC.encode(REMOVED)}, None)
    assert not await may_be_texted(api, asked_for)


def test_a_removal_under_any_spelling_holds() -> None:
    assert strictest([ACTIVE, REMOVED]) == REMOVED
    assert strictest([None, ACTIVE, None]) == ACTIVE
    assert strictest([None]) is None


def test_a_list_is_exempt_from_an_account_wide_removal_under_every_spelling_or_none() -> None:
    other = "+18005559999"
    exempt = replace(REMOVED, list_number="", except_lists=(LIST, other))
    assert strictest([exempt, replace(exempt, except_lists=())]) == replace(exempt, except_lists=())
    assert strictest([exempt, replace(exempt, except_lists=(other,))]) == replace(exempt, except_lists=(other,))
    assert strictest([exempt, replace(exempt, active=True, except_lists=())]) == exempt


def record(api: Api, state: ContactState, number: str) -> None:
    """Put a state into the copy under this spelling."""
    name = f"acme:{state.list_number}:{number}".encode()
    api.store.write({name: CODEC.encode(state)}, None)
    api.replica.on_key(name)


async def test_a_list_to_which_only_one_spelling_came_back_may_not_text_the_number(api: Api) -> None:
    whole = replace(REMOVED, list_number="", scope="account")
    record(api, replace(whole, except_lists=(LIST,)), CANONICAL)
    assert await may_be_texted(api, CANONICAL)
    record(api, whole, OLD)
    assert not await may_be_texted(api, CANONICAL)


@pytest.mark.parametrize(("came_back", "may_be_texted_now"), [(False, False), (True, True)])
async def test_an_active_record_under_an_old_spelling_brings_back_no_erased_number(
    came_back: bool, may_be_texted_now: bool
) -> None:
    api = Api(pseudonym_key=KEY)
    api.complete(seconds_ago=1)
    record(api, ACTIVE, OLD)
    record(api, REMOVED, Pseudonyms(KEY).of("acme", CANONICAL))
    if came_back:
        record(api, ACTIVE, CANONICAL)
    assert await may_be_texted(api, CANONICAL) == may_be_texted_now


def test_the_names_of_a_contact_begin_with_the_canonical_one() -> None:
    assert contact_names("acme", LIST, OLD) == (f"acme:{LIST}:{CANONICAL}", f"acme:{LIST}:{OLD}")


@pytest.mark.parametrize("text", [CANONICAL, "52 1 55 1234 5678"])
def test_a_search_finds_rows_under_every_spelling(text: str) -> None:
    api = Api()
    api.put(contacts, *(rows.contact(nth, number=number) for nth, number in enumerate((CANONICAL, OLD), 1)))
    with api.engine.connect() as connection:
        found = listed_contacts(connection, "acme", ContactsFilter(number=text))
    assert {each.number for each in found.rows} == {CANONICAL, OLD}


@pytest.mark.parametrize("page", ["deliveries", "replies", "contacts"])
@pytest.mark.parametrize("text", [LIST, WITH_AN_UNESCAPED_PLUS, "18005551234", "1 (800) 555-1234"])
async def test_a_list_is_found_however_its_number_is_written(api: Api, page: str, text: str) -> None:
    api.put(messages, rows.message(1))
    api.put(replies, rows.reply(1))
    api.put(contacts, rows.contact(1))
    found = await api.get(f"/api/{page}", params={"list_number": text})
    assert [row["list_number"] for row in found.json()["data"]] == [LIST]


@pytest.mark.parametrize("text", ["2125550100", "(212) 555-0100", "212-555-0100"])
def test_a_search_for_ten_digits_finds_the_north_american_number_that_they_may_be(text: str) -> None:
    api = Api()
    api.put(contacts, rows.contact(1, number="+12125550100"))
    with api.engine.connect() as connection:
        found = listed_contacts(connection, "acme", ContactsFilter(number=text))
    assert [each.number for each in found.rows] == ["+12125550100"]


@pytest.mark.parametrize("text", ["US.2125550100", "anon_2125550100a"])
def test_a_search_for_an_id_with_ten_digits_is_for_no_number(text: str) -> None:
    assert "+12125550100" not in searched(text)


def test_a_search_for_what_is_no_number_looks_for_the_text() -> None:
    assert searched("anon_abc") == ("anon_abc",)


USER = "US.13491208655302"


@pytest.mark.parametrize("asked_for", [USER, f"whatsapp:{USER}"])
async def test_a_whatsapp_user_who_is_out_may_not_be_texted_by_the_id(api: Api, asked_for: str) -> None:
    assert await may_be_texted(api, asked_for)
    api.contact(False, number=USER)
    assert not await may_be_texted(api, asked_for)


async def test_what_holds_for_a_number_holds_for_the_id_by_which_whatsapp_knows_the_person(api: Api) -> None:
    api.contact(True, list_number="", number=USER, scope="account", known_as=CANONICAL)
    assert await may_be_texted(api, USER)
    api.contact(False, number=CANONICAL)
    assert not await may_be_texted(api, USER)


async def test_what_holds_for_a_number_on_every_list_holds_for_the_id_too(api: Api) -> None:
    api.contact(True, list_number="", number=USER, scope="account", known_as=CANONICAL)
    api.contact(False, list_number="", number=CANONICAL, scope="account")
    assert not await may_be_texted(api, USER)


async def test_an_id_is_texted_at_the_time_of_the_number(api: Api) -> None:
    api.contact(True, list_number="", number=USER, scope="account", known_as="+12125550142")
    answer = await api.post("/api/contacts/check", json={"list_number": LIST, "numbers": [USER]})
    (contact,) = answer.json()["contacts"]
    assert (contact["number"], contact["time_zones"]) == (USER, ["America/New_York"])


@pytest.mark.parametrize(("written", "asked_for"), [(OLD, CANONICAL), (CANONICAL, OLD)])
async def test_a_list_is_asked_for_in_either_spelling_of_its_number(api: Api, written: str, asked_for: str) -> None:
    api.accounts.put(ListConfig(account="acme", number=written))
    answer = await api.post("/api/contacts/check", json={"list_number": asked_for, "numbers": ["+15551230001"]})
    assert (answer.json()["list_number"], answer.json()["contacts"][0]["code"]) == (written, None)
    order = await api.post("/api/contacts/remove", json={"list_number": asked_for, "numbers": ["+15551230001"]})
    assert order.status_code == 202
    (command,) = [entry for entry in api.written.records("commands") if isinstance(entry, ContactCommand)]
    assert command.list_number == written
