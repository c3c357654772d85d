"""Providers, by the API and on their pages: how far each is set up, and its activity."""

from __future__ import annotations

from typing import Any

import pytest

from bus.clock import now_ms
from console.principals import Role
from database.tables import callbacks_seen, hourly_events, rejected
from providers import NETWORKS, PROVIDERS
from schemas.records import AccountConfig
from tests.unit.console.console_parts import Api, refusal

HOUR = 3_600_000
NOW = now_ms()
THIS_HOUR = NOW - NOW % HOUR


def seen(instance: str = "ing_1", **changes: Any) -> dict[str, Any]:
    return {
        "account": "acme",
        "provider": "infobip",
        "instance": instance,
        "taken": 3,
        "refused": 0,
        "last_taken_at": NOW - 60_000,
        "last_refused_at": None,
        "last_refusal": None,
        "updated_at": NOW,
        **changes,
    }


def events(hour: int = THIS_HOUR, count: int = 2, **changes: Any) -> dict[str, Any]:
    return {
        "account": "acme",
        "hour": hour,
        "event": "delivery",
        "provider": "infobip",
        "list_number": "",
        "status": "delivered",
        "detail": "",
        "count": count,
        **changes,
    }


def rejection(reason: str, at: int, **changes: Any) -> dict[str, Any]:
    place = f"sms.rejected/0/{at}"
    return {
        "event_id": f"evt_{place}",
        "account": "acme",
        "provider": "infobip",
        "stage": "normalize",
        "reason": reason,
        "error": "",
        "source": place,
        "item_index": None,
        "item": None,
        "place": place,
        "rejected_at": at,
        **changes,
    }


@pytest.fixture
def api() -> Api:
    api = Api(public_url="https://sms.example.com")
    api.accounts.put(AccountConfig(id="acme", name="Acme", providers={"infobip": {"secret": "s3cret"}}))
    return api


async def infobip(api: Api) -> dict[str, Any]:
    answer = await api.get("/api/providers/infobip")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_what_several_processes_have_seen_adds_up(api: Api) -> None:
    api.put(
        callbacks_seen,
        seen("ing_1", refused=1, last_refused_at=NOW - 90_000, last_refusal="wrong_secret"),
        seen("ing_2", refused=4, last_refused_at=NOW - 80_000, last_refusal="rate_limited", last_taken_at=NOW - 70_000),
    )
    api.put(hourly_events, events(), events(THIS_HOUR - 3 * HOUR), events(THIS_HOUR - 48 * HOUR, 100))
    found = await infobip(api)
    assert (found["state"], found["taken"], found["refused"]) == ("verified", 6, 5)
    assert (found["last_refusal"], found["understood_24h"]) == ("rate_limited", 4)
    assert [step["done"] for step in found["steps"]] == [True, True, True]


async def test_what_senders_register_is_no_callback_that_was_understood(api: Api) -> None:
    api.put(callbacks_seen, seen())
    api.put(hourly_events, events(event="sent"), events(event="click"))
    assert ((found := await infobip(api))["state"], found["understood_24h"]) == ("unverified", 0)


async def test_the_newest_rejection_after_the_last_event_makes_it_fail(api: Api) -> None:
    api.put(callbacks_seen, seen())
    api.put(hourly_events, events(THIS_HOUR - 5 * HOUR))
    api.put(rejected, rejection("unknown_status", NOW - 2_000), rejection("not_json", NOW - 1_000))
    found = await infobip(api)
    assert (found["state"], found["last_rejection"]) == ("failing", "not_json")


async def test_what_another_account_s_provider_did_is_not_told(api: Api) -> None:
    api.put(callbacks_seen, seen(account="other"))
    api.put(hourly_events, events(account="other"))
    api.put(rejected, rejection("not_json", NOW, account="other"))
    found = await infobip(api)
    assert (found["state"], found["taken"], found["last_rejection"]) == ("never seen", 0, None)


async def test_every_provider_is_listed_and_an_unknown_one_is_not_there(api: Api) -> None:
    listed = (await api.get("/api/providers")).json()["data"]
    assert [each["provider"] for each in listed] == [*PROVIDERS, *NETWORKS]
    assert refusal(await api.get("/api/providers/nobody")) == (404, "not_found")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.SUPPORT])
async def test_who_is_no_admin_sees_the_url_without_its_secret(api: Api, role: Role) -> None:
    api.sign_in(role)
    shown = (await api.page("/providers/infobip")).text
    assert "https://sms.example.com/api/webhook-feedbacks/infobip?account=acme&amp;secret=…" in shown
    assert "s3cret" not in shown + (await api.get("/api/providers")).text


async def test_an_admin_sees_the_whole_url_to_paste(api: Api) -> None:
    api.sign_in(Role.ADMIN)
    assert "infobip?account=acme&amp;secret=s3cret" in (await api.page("/providers/infobip")).text


async def test_the_pages_say_the_state_and_why_the_last_one_was_refused(api: Api) -> None:
    api.put(callbacks_seen, seen(last_refused_at=NOW, last_refusal="wrong_secret", refused=1))
    api.sign_in(Role.VIEWER)
    for path in ("/providers", "/providers/infobip"):
        shown = (await api.page(path)).text
        assert "failing" in shown
        assert "wrong_secret" in shown
    assert (await api.page("/providers/nobody")).status_code == 404
