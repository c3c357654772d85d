"""Where an account says that a contact is: given with a message or separately, and its effect on checks."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.ids import recipient_key
from schemas.records import AuditEntry, ContactPlace
from tests.unit.console.console_parts import CODEC, LIST, Api, refusal
from tests.unit.console.contacts.test_quiet_hours import NEW_YORK, check, move, settle

PATH = "/api/contacts/places"


@pytest.fixture
def api() -> Api:
    api = Api()
    settle(api, sending_rules=("us",))
    move(api, "2026-11-28T08:30", "America/New_York")
    return api


async def give(api: Api, **place: Any) -> None:
    answer = await api.post(PATH, json={"contacts": [{"number": NEW_YORK, **place}]})
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1), answer.text


async def test_what_the_account_knows_counts_before_the_area_code(api: Api) -> None:
    assert (await check(api, NEW_YORK))[0]["may_be_texted"] is True
    await give(api, time_zone="America/Los_Angeles")
    (answer,) = await check(api, NEW_YORK)
    assert (answer["may_be_texted"], answer["time_zones"]) == (False, ["America/Los_Angeles"])
    await give(api, state="tx")
    (answer,) = await check(api, NEW_YORK)
    assert (answer["rule"], answer["time_zones"]) == ("us-tx", ["America/Chicago", "America/Denver"])


async def test_without_zone_and_state_the_number_says_again_where_it_is(api: Api) -> None:
    await give(api, state="TX")
    await give(api)
    assert (await check(api, NEW_YORK))[0]["time_zones"] == ["America/New_York"]


async def test_it_is_written_under_the_recipient_with_who_gave_it(api: Api) -> None:
    await give(api, time_zone="America/Denver", state="US-CO")
    ((_, entry),) = [each for each in api.written.entries if each[0] == "places"]
    assert entry.key == recipient_key("acme", NEW_YORK)
    assert isinstance(entry.record, ContactPlace)
    assert (entry.record.time_zone, entry.record.state, entry.record.given_by) == ("America/Denver", "CO", "acme shop")
    (audited,) = api.written.records("audit")
    assert isinstance(audited, AuditEntry)
    assert (audited.action, audited.object) == ("contact.place", NEW_YORK)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ({"time_zone": "EST"}, "contacts[0].time_zone: is not a time zone"),
        ({"time_zone": "x" * 65}, "contacts[0].time_zone: "),
        ({"state": "ON"}, "contacts[0].state: is not a U.S. state"),
        ({"state": 1}, "contacts[0].state: "),
        ({"number": "nobody"}, "contacts[0].number: is not a valid phone number"),
        ({"zone": "UTC"}, "contacts[0].zone: is not a known field"),
    ],
)
async def test_a_mistake_is_named_and_nothing_is_written(api: Api, place: dict[str, Any], told: str) -> None:
    answer = await api.post(PATH, json={"contacts": [{"number": NEW_YORK, **place}]})
    assert refusal(answer) == (422, "validation_failed")
    assert answer.json()["message"].startswith(told)
    assert not api.written.entries


@pytest.mark.parametrize("known", [{"time_zone": "America/Denver"}, {"state": "CO"}])
async def test_it_may_come_with_a_message(api: Api, known: dict[str, str]) -> None:
    ids = {"message_id": "m", "provider": "infobip", "provider_message_id": "p"}
    message = {**ids, "list_number": LIST, "to": NEW_YORK, **known}
    assert (await api.post("/api/messages", json={"messages": [message]})).status_code == 202
    assert (await check(api, NEW_YORK))[0]["time_zones"] == ["America/Denver"]


async def test_a_message_that_says_nothing_of_it_changes_nothing(api: Api) -> None:
    await give(api, time_zone="America/Denver")
    ids = {"message_id": "m", "provider": "infobip", "provider_message_id": "p"}
    await api.post("/api/messages", json={"messages": [{**ids, "list_number": LIST, "to": NEW_YORK}]})
    assert (await check(api, NEW_YORK))[0]["time_zones"] == ["America/Denver"]


@pytest.mark.parametrize(
    "value",
    [
        b"nonsense",
        CODEC.encode(ContactPlace(account="acme", phone_number=NEW_YORK, time_zone="Mars/Olympus", given_at=1)),
        CODEC.encode(ContactPlace(account="acme", phone_number=NEW_YORK, state="??", given_at=1)),
    ],
)
async def test_what_somebody_wrote_that_is_no_place_was_not_given(api: Api, value: bytes) -> None:
    api.written.places.write({recipient_key("acme", NEW_YORK): value}, None)
    assert (await check(api, NEW_YORK))[0]["time_zones"] == ["America/New_York"]


async def test_another_account_s_contact_is_another(api: Api) -> None:
    await give(api, state="TX")
    assert api.parts.places.given("other", NEW_YORK) is None
