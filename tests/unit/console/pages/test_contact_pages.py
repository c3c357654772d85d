"""Contacts on pages: the state that senders use, why a contact is removed, and audited orders."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import orjson
import pytest

from console.principals import Role
from database.tables import contact_changes, contacts, messages, receipts, replies
from schemas.ids import derived_id
from schemas.records import AuditEntry, ContactCommand
from tests.unit.console.console_parts import LIST, NUMBER, OTHER_LIST, Api, refusal
from tests.unit.console.rows import change, contact, message, receipt, reply

PAGE = f"/contacts/{NUMBER}"
RESTORE = {"csrf": "token", "list_number": LIST, "why": "She called us", "consent": "true"}


@pytest.fixture
def api() -> Api:
    api = Api()
    api.sign_in(Role.SUPPORT)
    return api


async def send(api: Api, path: str, **data: str) -> Any:
    return await api.form(f"{PAGE}{path}", **data)


def orders(api: Api) -> list[ContactCommand]:
    return [each for each in api.written.records("commands") if isinstance(each, ContactCommand)]


# What is known


@pytest.mark.parametrize("text", ["+1 (555) 123-0001", "15551230001", "+15551230001"])
async def test_a_number_is_found_in_any_notation(api: Api, text: str) -> None:
    answer = await api.page("/contacts/look-up", params={"number": text})
    assert answer.headers["location"] == f"/accounts/acme/contacts/{quote(NUMBER)}"


async def test_the_state_is_that_of_the_copy_not_of_the_read_model(api: Api) -> None:
    api.put(contacts, contact(1, number=NUMBER, active=True))
    api.contact(active=False, reason="complaint")
    found = (await api.get(f"/api/contacts/{NUMBER}")).json()
    assert found["is_fresh"] is True
    assert [(each["may_be_texted"], each["reason"]) for each in found["lists"]] == [(False, "complaint")]


async def test_states_that_are_too_old_are_shown_as_such(api: Api) -> None:
    old = Api(check_max_age=1e-9)
    old.sign_in(Role.SUPPORT)
    assert (await old.get(f"/api/contacts/{NUMBER}")).json()["is_fresh"] is False
    assert "do not text this contact" in (await old.page(PAGE)).text


@pytest.mark.parametrize("lists", [(), (LIST,)])
async def test_the_reply_that_led_to_a_removal_is_its_evidence(api: Api, lists: tuple[str, ...]) -> None:
    api.put(replies, reply(1, text="please stop <b>now</b>"), reply(2, text="another"))
    api.put(contact_changes, change(event_id=derived_id("evt_reply_1", "unsubscribe", *lists)))
    (known,) = (await api.get(f"/api/contacts/{NUMBER}")).json()["history"]
    assert (known["evidence"], known["source"]) == ("please stop <b>now</b>", "sms.raw/0/0")
    assert "<b>now" not in (await api.page(PAGE)).text


async def test_the_report_that_led_to_a_removal_is_its_evidence(api: Api) -> None:
    refused = {"status_detail": "REJECTED_ABSENT_SUBSCRIBER", "provider_status": "REJECTED", "provider_code": "8:27"}
    api.put(messages, message(1, provider_message_id="ib-1"), message(2, provider_message_id="ib-2"))
    api.put(receipts, receipt(1), receipt(2, **refused, provider_text="Absent subscriber"))
    api.put(contact_changes, change(event_id=derived_id("evt_receipt_2", "unsubscribe"), reason="bad_response"))
    (known,) = (await api.get(f"/api/contacts/{NUMBER}")).json()["history"]
    assert known["evidence"] == "REJECTED_ABSENT_SUBSCRIBER; infobip: REJECTED 8:27 Absent subscriber"
    assert known["source"] == "sms.raw/0/1"


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ({}, [2, 1]),
        ({"active": "true"}, [2]),
        ({"reason": "message"}, [1]),
        ({"list_number": OTHER_LIST}, []),
        ({"number": "+15551230001"}, [1]),
    ],
)
async def test_contacts_are_listed_by_what_is_asked(api: Api, filters: dict[str, str], numbers: list[int]) -> None:
    api.put(contacts, contact(1), contact(2, active=True, reason=None))
    found = (await api.get("/api/contacts", params=filters)).json()["data"]
    assert [int(row["number"][-1]) for row in found] == numbers


async def test_a_viewer_sees_the_list_masked_and_no_contact(api: Api) -> None:
    api.put(contacts, contact(1))
    api.sign_in(Role.VIEWER)
    assert "+15551230001" not in (await api.page("/contacts")).text
    assert (await api.page(PAGE)).status_code == 403
    assert (await api.page("/contacts/look-up", params={"number": NUMBER})).status_code == 403


# Orders


async def test_a_removal_is_ordered_with_its_reason(api: Api) -> None:
    answer = await send(api, "/remove", csrf="token", list_number=LIST, reason="complaint")
    assert answer.status_code == 303
    (given,) = orders(api)
    assert (given.command, given.phone_number, given.reason) == ("remove", NUMBER, "complaint")
    assert given.issued_by == "ann@example.com"


async def test_a_restore_is_in_the_audit_log_with_what_was_said_before_it_is_ordered(api: Api) -> None:
    assert (await send(api, "/restore", **RESTORE)).status_code == 303
    assert [topic for topic, _ in api.written.entries] == ["audit", "commands"]
    (entry,) = api.written.records("audit")
    assert isinstance(entry, AuditEntry)
    assert (entry.action, entry.actor, entry.object) == ("contact.restore", "user:ann@example.com", NUMBER)
    assert orjson.loads(entry.details)["note"] == "She called us"


@pytest.mark.parametrize("missing", ["why", "consent"])
async def test_nobody_is_restored_without_a_reason_and_consent(api: Api, missing: str) -> None:
    answer = await send(api, "/restore", **{name: value for name, value in RESTORE.items() if name != missing})
    assert answer.status_code == 422
    assert not api.written.entries


@pytest.mark.parametrize("data", [{"list_number": OTHER_LIST}, {"reason": "none"}])
async def test_an_order_that_makes_no_sense_is_refused(api: Api, data: dict[str, str]) -> None:
    answer = await send(api, "/remove", **{"csrf": "token", "list_number": LIST, "reason": "manual", **data})
    assert answer.status_code == 422
    assert not api.written.entries


@pytest.mark.parametrize("path", ["/remove", "/restore", "/erase"])
async def test_a_viewer_orders_nothing(api: Api, path: str) -> None:
    api.sign_in(Role.VIEWER)
    assert (await send(api, path, **RESTORE, reason="manual")).status_code == 403
    assert not api.written.entries


async def test_support_cannot_erase(api: Api) -> None:
    assert (await send(api, "/erase", csrf="token")).status_code == 403
    assert not api.written.entries


async def test_nothing_is_erased_without_a_key_of_pseudonyms(api: Api) -> None:
    api.sign_in(Role.ADMIN)
    assert "TRACKLY_PSEUDONYM_KEY is not set" in (await api.page(PAGE)).text
    assert (await send(api, "/erase", csrf="token")).status_code == 409
    assert not api.written.entries


async def test_an_erasure_is_ordered_on_every_list_and_on_none_and_leaves_no_number_in_the_audit_log() -> None:
    api = Api(pseudonym_key="a key of pseudonyms")
    api.sign_in(Role.ADMIN)
    assert (await send(api, "/erase", csrf="token")).status_code == 303
    assert [(order.command, order.list_number) for order in orders(api)] == [("erase", LIST), ("erase", "")]
    assert NUMBER not in str(api.written.records("audit"))


async def test_what_is_no_number_has_no_page(api: Api) -> None:
    assert refusal(await api.get("/api/contacts/nobody")) == (404, "not_found")
    assert (await api.page("/contacts/nobody")).status_code == 404
