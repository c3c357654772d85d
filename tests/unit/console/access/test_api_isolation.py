"""A key of one account never sees another's data: a stranger's key tries every route of the application."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.routing import APIRoute
from msgspec.structs import replace

from accounts.keys import new_key
from accounts.secrets import new_key as new_secret_key
from console.principals import EVERY_ACCOUNT
from database.tables import attempts, contact_changes, messages
from operations.replays import Order
from tests.unit.console.console_parts import LIST, NUMBER, OTHER_LIST, Api, refusal, rotating
from tests.unit.console.rows import attempt, change, message

MESSAGE = {"message_id": "m", "provider": "infobip", "provider_message_id": "p", "list_number": LIST, "to": NUMBER}
CONTACTS = {"list_number": LIST, "numbers": [NUMBER]}

REQUESTS: dict[tuple[str, str], dict[str, Any] | None] = {
    ("POST", "/api/messages"): {"messages": [MESSAGE]},
    ("POST", "/api/contacts/remove"): CONTACTS,
    ("POST", "/api/contacts/restore"): CONTACTS,
    ("POST", "/api/contacts/check"): CONTACTS,
    ("POST", "/api/contacts/places"): {"contacts": [{"number": NUMBER, "state": "TX"}]},
    ("GET", f"/api/contacts/{LIST}/{NUMBER}"): None,
    ("GET", "/api/contacts"): None,
    ("GET", f"/api/contacts/{NUMBER}"): None,
    ("GET", f"/api/evidence/{NUMBER}"): None,
    ("GET", "/api/time-to-effect"): None,
    ("GET", "/api/brakes"): None,
    ("POST", f"/api/brakes/{LIST}/confirm"): None,
    ("POST", f"/api/brakes/{LIST}/release"): None,
    ("GET", "/api/deliveries"): None,
    ("GET", "/api/deliveries.csv"): None,
    ("GET", "/api/deliveries/infobip/ib-1"): None,
    ("GET", "/api/providers"): None,
    ("GET", "/api/providers/infobip"): None,
    ("GET", "/api/raw/sms.raw/0/0"): None,
    ("GET", "/api/replies"): None,
    ("GET", "/api/replies.csv"): None,
    ("GET", "/api/statistics"): None,
    ("GET", "/api/statistics.csv"): None,
    ("GET", "/api/endpoints"): None,
    ("POST", "/api/endpoints"): {"id": "billing", "url": "https://billing.example.com/hook"},
    ("GET", "/api/endpoints/crm"): None,
    ("PUT", "/api/endpoints/crm"): {"url": "https://crm.example.com/other"},
    ("DELETE", "/api/endpoints/crm"): None,
    ("POST", "/api/endpoints/crm/pause"): None,
    ("POST", "/api/endpoints/crm/resume"): None,
    ("POST", "/api/endpoints/crm/rotate-secret"): {"again": True},
    ("POST", "/api/endpoints/crm/activate-secret"): None,
    ("POST", "/api/endpoints/crm/test"): {},
    ("POST", "/api/endpoints/crm/customer-links"): {},
    ("DELETE", "/api/endpoints/crm/customer-links"): None,
    ("GET", "/api/endpoints/crm/events"): None,
    ("GET", "/api/account"): None,
    ("GET", "/api/account/sending-hours"): None,
    ("PUT", "/api/account/sending-hours"): {"cap": 3},
    ("GET", "/api/lists"): None,
    ("POST", "/api/lists"): {"number": "+18005550000"},
    ("GET", f"/api/lists/{LIST}"): None,
    ("PUT", f"/api/lists/{LIST}"): {"retry_threshold": 5},
    ("PUT", "/api/providers/infobip/credentials"): {"secret": "s3cret-of-acme"},
    ("GET", "/api/receivers"): None,
    ("GET", "/api/codes"): None,
    ("PUT", "/api/codes"): {"code": "twilio 30500", "status_class": "neutral"},
    ("POST", f"/api/lists/{LIST}/receivers"): {"receiver": "+18885550100", "provider": "twilio"},
    ("GET", "/api/audit"): None,
    ("GET", "/api/keys"): None,
    ("POST", "/api/keys"): {"name": "till"},
    ("POST", "/api/keys/key_0123456789ab/revoke"): None,
    ("GET", "/api/replays"): None,
    ("POST", "/api/replays"): {"endpoint": "crm", "since": "24h"},
    ("GET", "/api/replays/rpl_1"): None,
    ("POST", "/api/replays/rpl_1/stop"): None,
    ("POST", "/api/dead-letters/replay"): None,
    ("POST", "/api/rejected/retry"): None,
    ("GET", "/api/attempts"): None,
    ("GET", "/api/attempts/1"): None,
    ("GET", "/api/dead-letters"): None,
    ("GET", "/api/rejected"): None,
    ("GET", "/api/alerts"): None,
    ("GET", "/api/alerts/settings"): None,
    ("PUT", "/api/alerts/settings"): {"types": {}, "minimum_severity": "low"},
    ("POST", "/api/alerts/mute"): {"duration": "2h"},
    ("POST", "/api/alerts/test"): None,
}
"""A request about account `acme` for each route, without saying whose account it is."""

OF_THE_INSTALLATION = {
    ("GET", "/api/audit/installation"): None,
    ("GET", "/api/rejected/installation"): None,
    ("POST", "/api/accounts"): {"id": "beta"},
}
"""Requests about no account, for the admins of every one."""

OF_THE_CALLER = {("GET", "/api/accounts")}
"""Routes that answer what the caller may see, whoever it is."""

PLACEHOLDERS = {
    "/api/keys/key_0123456789ab/revoke": "/api/keys/{key_id}/revoke",
    "/api/replays/rpl_1": "/api/replays/{replay_id}",
    "/api/replays/rpl_1/stop": "/api/replays/{replay_id}/stop",
    "/api/endpoints/crm": "/api/endpoints/{endpoint}",
    **{
        f"/api/endpoints/crm/{action}": f"/api/endpoints/{{endpoint}}/{action}"
        for action in ("pause", "resume", "rotate-secret", "activate-secret", "test", "events", "customer-links")
    },
    "/api/attempts/1": "/api/attempts/{attempt_id}",
    "/api/providers/infobip": "/api/providers/{provider}",
    "/api/providers/infobip/credentials": "/api/providers/{provider}/credentials",
    f"/api/lists/{LIST}": "/api/lists/{number}",
    f"/api/lists/{LIST}/receivers": "/api/lists/{number}/receivers",
    f"/api/brakes/{LIST}/confirm": "/api/brakes/{list_number}/confirm",
    f"/api/brakes/{LIST}/release": "/api/brakes/{list_number}/release",
    f"/api/contacts/{LIST}/{NUMBER}": "/api/contacts/{list_number}/{number}",
    f"/api/contacts/{NUMBER}": "/api/contacts/{number}",
    f"/api/evidence/{NUMBER}": "/api/evidence/{number}",
    "/api/deliveries/infobip/ib-1": "/api/deliveries/{provider}/{provider_message_id}",
    "/api/raw/sms.raw/0/0": "/api/raw/{topic}/{partition}/{offset}",
}

HEALTH = {"/livez", "/readyz", "/metrics", "/api/openapi.json"}


@pytest.fixture
def api() -> Api:
    api = Api(evidence_key=new_secret_key())
    api.contact(active=False)
    api.put(messages, message())
    api.put(attempts, attempt())
    api.put(contact_changes, change())
    api.accounts.put(rotating())
    api.keys.put(replace(new_key("acme", "till")[0], id="key_0123456789ab"))
    api.written.replays.put(replace(Order("acme/crm", "dead").command("key:shop", 1), replay_id="rpl_1"))
    return api


def test_every_route_is_walked(api: Api) -> None:
    walked = {(method, PLACEHOLDERS.get(path, path)) for method, path in REQUESTS}
    assert walked | OF_THE_INSTALLATION.keys() | OF_THE_CALLER == {
        (method, path) for path, methods in api.app.openapi()["paths"].items() for method in map(str.upper, methods)
    }


@pytest.mark.parametrize(("method", "path"), OF_THE_INSTALLATION)
async def test_what_belongs_to_no_account_is_for_the_admins_of_every_one(api: Api, method: str, path: str) -> None:
    body = OF_THE_INSTALLATION[method, path]
    for account in ("acme", EVERY_ACCOUNT):
        assert refusal(await api.request(method, path, params={"account": account}, json=body)) == (403, "forbidden")
    assert not api.written.entries
    assert (await api.request(method, path, key=api.key(None), json=body)).status_code in (200, 201)


LOOKS_UP_NUMBERS = {
    ("GET", f"/api/contacts/{LIST}/{NUMBER}"),
    ("GET", f"/api/contacts/{NUMBER}"),
    ("GET", f"/api/evidence/{NUMBER}"),
    ("GET", "/api/raw/sms.raw/0/0"),
    ("GET", "/api/endpoints/crm/events"),
    ("GET", "/api/keys"),
    ("GET", "/api/audit"),
}
"""What a viewer may not read: answers would tell a number that it sees masked, or what only admins see."""


@pytest.mark.parametrize(("method", "path"), REQUESTS)
async def test_a_viewer_changes_nothing_and_looks_no_number_up(api: Api, method: str, path: str) -> None:
    (key,) = (key for key in api.keys.by_id.values() if key.name == "acme shop")
    api.keys.put(replace(key, role="viewer"))
    answer = await api.request(method, path, json=REQUESTS[method, path])
    may = method == "GET" and (method, path) not in LOOKS_UP_NUMBERS
    assert answer.status_code == (200 if may else 403), answer.text
    assert not api.written.entries


def test_nothing_else_is_served(api: Api) -> None:
    unlisted = {getattr(route, "path", None) for route in api.app.routes if not isinstance(route, APIRoute)}
    assert {path for path in unlisted if path} <= HEALTH | {"/registry"}  # schemas, the same for everybody


@pytest.mark.parametrize(("method", "path"), REQUESTS)
async def test_the_owner_s_key_opens_each_route(api: Api, method: str, path: str) -> None:
    assert (await api.request(method, path, json=REQUESTS[method, path])).status_code in (200, 201, 202, 204)


@pytest.mark.parametrize(("method", "path"), REQUESTS)
async def test_a_stranger_s_key_finds_nothing_under_the_account_s_name(api: Api, method: str, path: str) -> None:
    request = {"json": REQUESTS[method, path], "params": {"account": "acme"}}
    answer = await api.request(method, path, key=api.other, **request)
    assert refusal(answer) == (404, "not_found")
    assert not api.written.entries


@pytest.mark.parametrize(("method", "path"), REQUESTS)
async def test_an_account_of_somebody_else_is_answered_like_none(api: Api, method: str, path: str) -> None:
    answers = [
        await api.request(method, path, key=api.other, json=REQUESTS[method, path], params={"account": account})
        for account in ("acme", "none")
    ]
    assert answers[0].text.replace("acme", "none") == answers[1].text


@pytest.mark.parametrize(("method", "path"), REQUESTS)
async def test_a_stranger_s_key_reaches_no_list_or_contact_of_the_account(api: Api, method: str, path: str) -> None:
    answer = await api.request(method, path, key=api.other, json=REQUESTS[method, path])
    if path.endswith(".csv"):
        assert answer.text.count("\n") == 1  # the names of the columns
        return
    found = answer.json()
    if path.startswith("/api/providers") or path == "/api/account":
        assert "acme" not in answer.text  # how the stranger's own are set up
        return
    if "history" in found:
        # The number as the stranger knows it: on its own lists, with nothing of what happened elsewhere.
        assert ([each["list_number"] for each in found["lists"]], found["history"]) == ([OTHER_LIST], [])
        assert found["lists"][0]["may_be_texted"] is True
        return
    if path == "/api/keys":
        assert "key_0123456789ab" not in answer.text
        return
    if path == "/api/endpoints" and method == "POST":
        assert {entry.key for name, entry in api.written.entries if name == "config_endpoints"} == {b"other/billing"}
        return
    if path == "/api/lists":
        assert {entry.key for name, entry in api.written.entries if name == "config_lists"} <= {b"other/+18005550000"}
        assert LIST not in answer.text
        return
    if path == "/api/contacts/places":
        assert {entry.key for _, entry in api.written.entries} == {b"other", f"other:{NUMBER}".encode()}
        return
    if path == "/api/account/sending-hours":
        assert api.accounts.accounts["acme"].sending_cap is None
        assert {entry.key for _, entry in api.written.entries} == (set() if method == "GET" else {b"other"})
        return
    if path == "/api/codes" and method == "PUT":
        assert {entry.key for _, entry in api.written.entries} == {b"other"}  # the stranger's own account
        return
    if "evidence" in found:
        nothing = (found["evidence"]["account"], found["evidence"]["steps"], found["evidence"]["states"])
        assert nothing == ("other", [], [])
        return
    if "p50_ms" in found:
        assert found["count"] == 0
        return
    if "again" in found:
        assert found["again"] == 0
        return
    if "data" in found:
        assert found["data"] == []  # the stranger's own, which has none
    elif "types" in found:
        assert found["account"] == "other"  # the stranger's own
    else:
        assert answer.status_code in (404, 422) or [each["code"] for each in found["contacts"]] == ["unknown_list"]
    assert "message" not in answer.json().get("contacts", [{}])[0].values()
    assert {entry.key for _, entry in api.written.entries} <= {b"other"}


@pytest.mark.parametrize(("method", "path"), REQUESTS)
async def test_a_key_for_all_accounts_says_which_it_means(api: Api, method: str, path: str) -> None:
    key, body = api.key(None), REQUESTS[method, path]
    assert refusal(await api.request(method, path, key=key, json=body)) == (422, "validation_failed")
    assert refusal(await api.request(method, path, key=key, json=body, params={"account": "none"})) == (
        404,
        "not_found",
    )
    assert (await api.request(method, path, key=key, json=body, params={"account": "acme"})).status_code in (
        200,
        201,
        202,
        204,
    )


async def test_the_same_number_is_another_contact_in_another_account(api: Api) -> None:
    (contact,) = (
        await api.post("/api/contacts/check", key=api.other, json={"list_number": OTHER_LIST, "numbers": [NUMBER]})
    ).json()["contacts"]
    assert contact["may_be_texted"] is True


async def test_an_idempotency_key_of_one_account_is_not_another_s(api: Api) -> None:
    for key, number in ((api.acme, LIST), (api.other, OTHER_LIST)):
        body = {"list_number": number, "numbers": [NUMBER]}
        answer = await api.post("/api/contacts/remove", key=key, json=body, headers={"Idempotency-Key": "a"})
        assert answer.status_code == 202
