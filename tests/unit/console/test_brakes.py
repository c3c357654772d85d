"""Held removals: shown by list, decided by an admin, with an audit entry."""

from __future__ import annotations

from typing import Any

import pytest

from console.principals import Role
from database.tables import contacts
from schemas.records import AuditEntry, ContactCommand, ListConfig
from tests.unit.console.console_parts import LIST, NUMBER, OTHER_LIST, Api, refusal
from tests.unit.console.rows import NOW, contact


@pytest.fixture
def api() -> Api:
    api = Api()
    api.sign_in(Role.ADMIN)
    return api


def held(nth: int, **changes: Any) -> dict[str, Any]:
    """A contact whose removal is held."""
    return contact(nth, **{"active": False, "held": True, "reason": "invalid_contact", "list_number": LIST, **changes})


def orders(api: Api) -> list[ContactCommand]:
    return [each for each in api.written.records("commands") if isinstance(each, ContactCommand)]


def audited(api: Api) -> list[tuple[str, str, str]]:
    entries = [each for each in api.written.records("audit") if isinstance(each, AuditEntry)]
    return [(each.action, each.object, each.outcome) for each in entries]


async def test_what_is_held_is_listed_by_list_with_its_reasons(api: Api) -> None:
    api.put(
        contacts,
        held(1, since=NOW),
        held(2, since=NOW - 5_000),
        held(3, reason="bad_response"),
        held(4, list_number="", reason="complaint"),
        held(5, held=False),
        held(6, account="other"),
    )
    assert (await api.get("/api/brakes")).json()["data"] == [
        {"list_number": "all", "contacts": 1, "reasons": {"complaint": 1}, "since": "2026-11-18T11:06:44.000Z"},
        {
            "list_number": LIST,
            "contacts": 3,
            "reasons": {"bad_response": 1, "invalid_contact": 2},
            "since": "2026-11-18T11:06:35.000Z",
        },
    ]


@pytest.mark.parametrize("command", ["confirm", "release"])
@pytest.mark.parametrize(("listed", "list_number"), [(LIST, LIST), ("all", "")])
async def test_a_decision_is_one_order_under_the_accounts_key(
    api: Api, command: str, listed: str, list_number: str
) -> None:
    answer = await api.post(f"/api/brakes/{listed}/{command}")
    assert answer.status_code == 202
    [order] = orders(api)
    assert (order.command, order.account, order.list_number, order.phone_number) == (command, "acme", list_number, "")
    assert [entry.key for topic, entry in api.written.entries if topic == "commands"] == [b"acme"]
    assert audited(api) == [(f"brake.{command}", listed, "done")]


async def test_a_decision_that_is_sent_twice_is_one(api: Api) -> None:
    headers = {"Idempotency-Key": "yes-1"}
    for _ in range(2):
        await api.post(f"/api/brakes/{LIST}/confirm", headers=headers)
    first, again = orders(api)
    assert first == again


async def test_a_decision_about_a_list_of_nobody_or_of_another_account_is_refused(api: Api) -> None:
    for listed in (OTHER_LIST, "+18000000000"):
        assert refusal(await api.post(f"/api/brakes/{listed}/confirm")) == (404, "not_found")
    assert orders(api) == []


async def test_a_decision_that_kafka_does_not_take_is_told_in_the_audit_log(api: Api) -> None:
    api.written.broken_topics = {"commands"}
    assert (await api.post(f"/api/brakes/{LIST}/release")).status_code == 503
    assert [outcome for *_, outcome in audited(api)] == ["done", "failed"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.SUPPORT])
async def test_only_an_admin_decides(api: Api, role: Role) -> None:
    api.put(contacts, held(1))
    api.sign_in(role)
    page = await api.page("/held")
    assert page.status_code == 200
    assert "Remove them" not in page.text
    assert (await api.form(f"/held/{LIST}/confirm")).status_code == 403
    assert orders(api) == []


async def test_the_page_says_yes_and_no(api: Api) -> None:
    api.put(contacts, held(1), held(2))
    page = (await api.page("/held")).text
    assert "2 contacts" in page
    assert "10% of the list per hour, but at least 500 contacts" in page
    for command, notice in (("confirm", "confirmed"), ("release", "released")):
        answer = await api.form(f"/held/{LIST}/{command}")
        assert answer.headers["location"] == f"/accounts/acme/held?notice={notice}"
    assert [order.command for order in orders(api)] == ["confirm", "release"]


async def test_the_page_of_an_account_that_holds_nothing_says_so(api: Api) -> None:
    assert "No removals are held." in (await api.page("/held")).text


async def test_lists_of_contacts_tell_who_is_held(api: Api) -> None:
    api.put(contacts, held(1), contact(2, active=False))
    assert [each["held"] for each in (await api.get("/api/contacts?held=true")).json()["data"]] == [True]
    assert "held" in (await api.page("/contacts", params={"held": "true"})).text


async def test_the_page_of_a_contact_tells_that_it_is_held(api: Api) -> None:
    api.contact(active=False, reason="invalid_contact", held=True)
    api.contact(active=False, reason="invalid_contact", list_number="", held=True)
    page = (await api.page(f"/contacts/{NUMBER}")).text
    assert "waits for an admin's decision" in page
    assert "Its removal from every list is" in page
    found = (await api.get(f"/api/contacts/{NUMBER}")).json()
    assert (found["whole_account"]["held"], found["lists"][0]["held"]) == (True, True)


@pytest.mark.parametrize("command", ["remove", "restore"])
async def test_an_order_about_a_contact_that_is_held_changes_something(api: Api, command: str) -> None:
    api.contact(active=False, reason="complaint", held=True)
    answer = await api.post(f"/api/contacts/{command}", json={"list_number": LIST, "numbers": [NUMBER]})
    assert answer.json()["unchanged"] == []


@pytest.mark.parametrize(
    ("brake", "share", "minimum"),
    [("off", 1.0, None), ({"share": 0.05}, 0.05, None), ({"minimum": 20}, None, 20), (None, None, None)],
)
async def test_the_brake_of_a_list_is_a_setting(api: Api, brake: Any, share: float | None, minimum: int | None) -> None:
    answer = await api.request("PUT", f"/api/lists/{LIST}", json={"brake": brake})
    assert answer.status_code == 200, answer.text
    assert answer.json()["brake"] == {"share": share, "minimum": minimum}
    config = api.accounts.lists_of("acme")[LIST]
    assert (config.brake_share, config.brake_minimum) == (share, minimum)
    again = await api.request("PUT", f"/api/lists/{LIST}", json={"brake": answer.json()["brake"]})
    assert again.json() == answer.json()


@pytest.mark.parametrize("brake", ["on", {"share": 1.1}, {"minimum": -1}, {"shar": 1}, 7])
async def test_a_brake_that_is_none_is_refused(api: Api, brake: Any) -> None:
    answer = await api.request("PUT", f"/api/lists/{LIST}", json={"brake": brake})
    assert refusal(answer) == (422, "validation_failed")


@pytest.mark.parametrize(
    ("fields", "share", "minimum"),
    [({}, None, None), ({"brake_share": "0.2", "brake_minimum": ""}, 0.2, None), ({"brake_minimum": "7"}, None, 7)],
)
async def test_the_form_of_a_list_sets_its_brake(
    api: Api, fields: dict[str, str], share: float | None, minimum: int | None
) -> None:
    answer = await api.form("/lists/new", number="54321", **fields)
    assert answer.status_code == 303, answer.text
    config = api.accounts.lists_of("acme")["54321"]
    assert (config.brake_share, config.brake_minimum) == (share, minimum)
    assert 'name="brake_share"' in (await api.page("/lists/54321/edit")).text


@pytest.mark.parametrize("field", ["brake_share", "brake_minimum"])
@pytest.mark.parametrize("text", ["many", "nan", "-1"])
async def test_a_brake_of_the_form_that_is_none_is_named(api: Api, field: str, text: str) -> None:
    answer = await api.form("/lists/new", number="54321", **{field: text})
    assert answer.status_code == 422
    assert f"brake.{field.removeprefix('brake_')}" in answer.text


async def test_the_lists_show_their_brakes(api: Api) -> None:
    api.accounts.put(ListConfig(account="acme", number="54321", brake_share=1.0))
    page = (await api.page("/lists")).text
    assert "10% per hour, at least 500" in page
    assert ">off<" in page
