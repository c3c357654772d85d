"""Lists, credentials, and accounts created and changed by the API and on pages; and concurrent changes."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable
from typing import Any

import httpx
import pytest

from accounts.secrets import SEALED, KeyRing, resolve
from console.principals import EVERY_ACCOUNT, Role
from schemas.records import AccountConfig, AuditEntry, ListConfig
from tests.unit.console.console_parts import LIST, Api, endpoint, refusal

NEW = "+18005550000"


@pytest.fixture
def api() -> Api:
    api = Api()
    api.sign_in(Role.ADMIN)
    return api


def audited(api: Api) -> list[tuple[str, str, str]]:
    entries = [each for each in api.written.records("audit") if isinstance(each, AuditEntry)]
    return [(each.action, each.object, each.details) for each in entries]


# Lists


async def test_a_list_is_created_and_in_force_when_it_is_answered(api: Api) -> None:
    body = {
        "number": NEW,
        "retry_threshold": 5,
        "provider_list_ids": {"lime": "4711"},
        "numbers": ["+18885550199"],
        "senders": ["acme_agent"],
        "brake": {"share": 0.05, "minimum": None},
    }
    answer = await api.post("/api/lists", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json() == {**body, "dlr_forward_url": None, "reply_forward_url": None}
    assert api.accounts.lists_of("acme")[NEW] == ListConfig(
        account="acme",
        number=NEW,
        retry_threshold=5,
        provider_list_ids={"lime": "4711"},
        numbers=("+18885550199",),
        senders=("acme_agent",),
        brake_share=0.05,
    )
    ((action, about, details),) = audited(api)
    assert (action, about) == ("list.create", f"list {NEW}")
    assert '"retry_threshold":[null,5]' in details


async def test_a_list_is_changed_and_the_audit_log_says_what(api: Api) -> None:
    url = "https://old.example.com/in?token=t0p-s3cret"
    answer = await api.request("PUT", f"/api/lists/{LIST}", json={"retry_threshold": 5, "dlr_forward_url": url})
    assert answer.json()["retry_threshold"] == 5
    ((action, about, details),) = audited(api)
    assert (action, about) == ("list.change", f"list {LIST}")
    assert '"retry_threshold":[3,5]' in details
    assert "old.example.com" in details
    assert "t0p-s3cret" not in details


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"number": "abc"}, "number: "),
        ({"number": NEW, "retry_threshold": 0}, "retry_threshold: "),
        ({"number": NEW, "retry_threshold": "3"}, "retry_threshold: "),
        ({"number": NEW, "provider_list_ids": {"limes": "1"}}, "provider_list_ids.limes: "),
        ({"number": NEW, "dlr_forward_url": "ftp://x"}, "dlr_forward_url: "),
        ({"number": NEW, "reply_forward_url": "https://10.0.0.1/"}, "reply_forward_url: nothing may be sent"),
        ({"number": NEW, "name": "x"}, "name: is not a known field"),
    ],
)
async def test_a_list_that_makes_no_sense_is_refused_by_its_field(api: Api, body: dict[str, Any], problem: str) -> None:
    answer = await api.post("/api/lists", json=body)
    assert refusal(answer) == (422, "validation_failed")
    assert answer.json()["message"].startswith(problem)
    assert not api.written.entries


async def test_a_list_that_is_there_is_not_created_again(api: Api) -> None:
    assert refusal(await api.post("/api/lists", json={"number": LIST})) == (409, "conflict")


async def test_only_admins_see_the_query_of_a_forward(api: Api) -> None:
    url = "https://crm.example.com/in?token=t0p-s3cret"
    api.accounts.put(ListConfig(account="acme", number=LIST, dlr_forward_url=url))
    assert (await api.get(f"/api/lists/{LIST}")).json()["dlr_forward_url"] == url
    api.sign_in(Role.SUPPORT)
    assert (await api.get(f"/api/lists/{LIST}", key="")).json()["dlr_forward_url"] == "https://crm.example.com/in"
    assert "t0p-s3cret" not in (await api.page("/lists")).text
    assert (await api.page(f"/lists/{LIST}/edit")).status_code == 403


async def test_a_page_makes_a_list_and_changes_it(api: Api) -> None:
    made = await api.form(
        "/lists/new", number=NEW, retry_threshold="4", provider=["cm", "lime"], provider_list_id=["", "7"]
    )
    assert made.status_code == 303
    assert NEW in (await api.page("/lists")).text
    form = (await api.page(f"/lists/{NEW}/edit")).text
    changed = await api.form(f"/lists/{NEW}/edit", version=version_in(form), retry_threshold="6")
    assert changed.status_code == 303
    assert api.accounts.lists_of("acme")[NEW] == ListConfig(account="acme", number=NEW, retry_threshold=6)


async def test_a_form_with_a_mistake_comes_back_with_what_was_typed(api: Api) -> None:
    answer = await api.form("/lists/new", number="abc", retry_threshold="4")
    assert answer.status_code == 422
    assert 'value="abc"' in answer.text
    assert 'value="4"' in answer.text


@pytest.mark.parametrize("name", [".", "..", "new"])
async def test_an_endpoint_whose_page_could_not_be_opened_is_not_made(api: Api, name: str) -> None:
    answer = await api.post("/api/endpoints", json={"id": name, "url": "https://crm.example.com/hook"})
    assert answer.status_code in (409, 422)
    assert not api.written.entries


LONG = "x" * 5_000
TOO_LONG = [
    ("POST", "/api/lists", {"number": NEW, "provider_list_ids": {"lime": LONG}}),
    ("POST", "/api/lists", {"number": NEW, "provider_list_ids": {LONG: "1"}}),
    ("POST", "/api/lists", {"number": NEW, "provider_list_ids": {"lime": "\ud800"}}),
    ("POST", "/api/endpoints", {"id": "b", "url": "https://b.example.com/", "headers": {"x": LONG}}),
    ("POST", "/api/endpoints", {"id": "b", "url": "https://b.example.com/", "headers": {"x": "\ud800"}}),
    ("POST", "/api/endpoints", {"id": "b", "url": "https://b.example.com/", "events": [LONG]}),
    ("PUT", "/api/providers/twilio/credentials", {LONG: "1"}),
    ("PUT", "/api/providers/twilio/credentials", {"\ud800": "1"}),
    ("PUT", "/api/alerts/settings", {"types": {LONG: True}, "minimum_severity": "low"}),
    ("POST", "/api/replays", {"endpoint": "crm", "event_ids": [LONG]}),
]


@pytest.mark.parametrize(("method", "path", "body"), TOO_LONG, ids=range(len(TOO_LONG)))
async def test_no_text_of_any_length_and_no_half_character_is_stored_or_repeated(
    api: Api, method: str, path: str, body: dict[str, Any]
) -> None:
    content = json.dumps(body).encode()
    answer = await api.request(method, path, content=content, headers={"content-type": "application/json"})
    assert refusal(answer) == (422, "validation_failed")
    assert len(answer.text) < 2_000
    assert not api.written.entries


# Two at the same time


def version_in(form: str) -> str:
    found = re.search('name="version" value="([0-9a-f]+)"', form)
    assert found is not None
    return found[1]


CHANGES: dict[str, dict[str, Any]] = {
    f"/api/lists/{LIST}": {"retry_threshold": 7},
    "/api/endpoints/crm": {"url": "https://crm.example.com/other"},
}


@pytest.mark.parametrize("path", CHANGES)
async def test_a_change_of_settings_that_nobody_else_has_changed_is_made(api: Api, path: str) -> None:
    etag = (await api.get(path)).headers["ETag"]
    answer = await api.request("PUT", path, json=CHANGES[path], headers={"If-Match": etag})
    assert answer.status_code == 200
    assert answer.headers["ETag"] == (await api.get(path)).headers["ETag"] != etag
    assert (await api.request("PUT", path, json=CHANGES[path], headers={"If-Match": "*"})).status_code == 200


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize("role", [Role.VIEWER, Role.SUPPORT])
async def test_who_may_not_see_all_settings_gets_no_digest_of_them(api: Api, path: str, role: Role) -> None:
    api.sign_in(role)
    answer = await api.get(path, key="")
    assert answer.status_code == 200
    assert "ETag" not in answer.headers


@pytest.mark.parametrize("path", CHANGES)
async def test_of_two_who_change_the_same_settings_the_second_is_told(api: Api, path: str) -> None:
    etag = (await api.get(path)).headers["ETag"]
    assert (await api.request("PUT", path, json=CHANGES[path])).status_code == 200
    written = len(api.written.entries)
    answer = await api.request("PUT", path, json=CHANGES[path], headers={"If-Match": etag})
    assert refusal(answer) == (412, "changed_meanwhile")
    assert len(api.written.entries) == written


async def test_a_form_that_is_older_than_the_settings_changes_nothing(api: Api) -> None:
    version = version_in((await api.page("/webhooks/crm/edit")).text)
    await api.request("PUT", "/api/endpoints/crm", json=CHANGES["/api/endpoints/crm"])
    answer = await api.form("/webhooks/crm/edit", version=version, url="https://crm.example.com/mine")
    assert answer.status_code == 412
    assert "Someone else has changed these settings" in answer.text
    assert "https://crm.example.com/mine" in answer.text
    assert api.accounts.endpoints["acme/crm"].url == "https://crm.example.com/other"


async def test_a_pause_or_a_rotation_is_no_change_of_settings(api: Api) -> None:
    api.accounts.put(endpoint(url="https://crm.example.com/hook"))
    version = version_in((await api.page("/webhooks/crm/edit")).text)
    assert (await api.post("/api/endpoints/crm/pause")).status_code == 200
    assert (await api.post("/api/endpoints/crm/rotate-secret", json={})).status_code == 200
    kept = {"url": "https://crm.example.com/hook", "events": ["delivery"]}
    answer = await api.form("/webhooks/crm/edit", version=version, **kept)
    assert answer.status_code == 303, answer.text
    assert not api.accounts.endpoints["acme/crm"].enabled


async def together(*requests: Awaitable[httpx.Response]) -> list[int]:
    return [answer.status_code for answer in await asyncio.gather(*requests)]


async def test_changes_of_one_account_at_the_same_moment_are_all_made(api: Api) -> None:
    api.written.seconds = 0.01
    statuses = await together(
        api.request("PUT", "/api/providers/twilio/credentials", json={"auth_token": "new"}),
        api.post("/api/alerts/mute", json={"duration": "2h"}),
        api.request("PUT", "/api/providers/cm/credentials", json={"secret": "mine-alone"}),
    )
    assert statuses == [200, 200, 200]
    account = api.accounts.accounts["acme"]
    assert sorted(account.providers) == ["cm", "twilio"]
    assert account.alerts_muted_until is not None


async def test_a_pause_at_the_same_moment_brings_no_old_secret_back(api: Api) -> None:
    api.written.seconds = 0.01
    rotated, paused = await asyncio.gather(
        api.post("/api/endpoints/crm/rotate-secret", json={"overlap_hours": 0}), api.post("/api/endpoints/crm/pause")
    )
    assert (rotated.status_code, paused.status_code) == (200, 200)
    stored = api.accounts.endpoints["acme/crm"]
    assert resolve(stored.secret) == rotated.json()["secret"]
    assert not stored.enabled


@pytest.mark.parametrize("path", CHANGES)
async def test_of_two_at_the_same_moment_who_have_seen_the_same_one_is_told(api: Api, path: str) -> None:
    etag = {"If-Match": (await api.get(path)).headers["ETag"]}
    api.written.seconds = 0.01
    other = {**CHANGES[path], **({"retry_threshold": 9} if "lists" in path else {"description": "mine"})}
    statuses = await together(
        api.request("PUT", path, json=CHANGES[path], headers=etag), api.request("PUT", path, json=other, headers=etag)
    )
    assert sorted(statuses) == [200, 412]


async def test_what_another_process_changes_in_between_is_not_overwritten(api: Api) -> None:
    api.written.seconds = 0.5
    request = asyncio.create_task(api.post("/api/endpoints/crm/pause"))
    while not api.parts.changing["acme"].locked():  # until it has read what it is about to change
        await asyncio.sleep(0)
    api.accounts.put(endpoint(description="by somebody else"))
    assert (await request).status_code == 412
    assert api.accounts.endpoints["acme/crm"].description == "by somebody else"


# Credentials


async def test_credentials_are_stored_encrypted_and_never_shown(api: Api) -> None:
    answer = await api.request("PUT", "/api/providers/twilio/credentials", json={"auth_token": "t0p-s3cret"})
    assert answer.json()["credentials"] == {"auth_token": True, "shared_key": False}
    stored = api.accounts.accounts["acme"].providers["twilio"]["auth_token"]
    assert stored.startswith(SEALED)
    assert resolve(stored) == "t0p-s3cret"
    assert audited(api) == [
        ("account.credentials", "account acme", '{"removed":[],"set":["auth_token"],"source":"twilio"}')
    ]
    assert "t0p-s3cret" not in answer.text + (await api.page("/providers/twilio")).text


async def test_a_page_sets_changes_and_removes_credentials(api: Api) -> None:
    assert (await api.form("/providers/cm", secret="the-first", secret_previous="")).status_code == 303
    assert (await api.form("/providers/cm", secret="the-second", secret_previous="the-first")).status_code == 303
    stored = api.accounts.accounts["acme"].providers["cm"]
    assert {name: resolve(value) for name, value in stored.items()} == {
        "secret": "the-second",
        "secret_previous": "the-first",
    }
    assert (await api.form("/providers/cm", secret="", **{"remove-secret_previous": "1"})).status_code == 303
    assert list(api.accounts.accounts["acme"].providers["cm"]) == ["secret"]


@pytest.mark.parametrize(
    ("path", "body", "refused"),
    [
        ("twilio", {"auth_token": "env:HOME"}, (422, "validation_failed")),
        ("twilio", {"auth_token": "file:/etc/passwd"}, (422, "validation_failed")),
        ("twilio", {"password": "x"}, (422, "validation_failed")),
        ("twilio", {"auth_token": 1}, (422, "validation_failed")),
        ("nobody", {"auth_token": "x"}, (404, "not_found")),
    ],
)
async def test_credentials_that_cannot_be_are_refused(
    api: Api, path: str, body: dict[str, Any], refused: tuple[int, str]
) -> None:
    answer = await api.request("PUT", f"/api/providers/{path}/credentials", json=body)
    assert refusal(answer) == refused
    assert not api.written.entries


async def test_without_a_key_for_secrets_none_is_stored(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.changes.accounts.keyring", KeyRing)
    answer = await api.request("PUT", "/api/providers/twilio/credentials", json={"auth_token": "t0p-s3cret"})
    assert refusal(answer) == (503, "not_available")
    assert "trackly secrets new-key" in answer.json()["message"]
    assert not api.written.entries


# Accounts


async def created(api: Api, **fields: str) -> httpx.Response:
    headers = {"sec-fetch-site": "same-origin"}
    return await api.request("POST", "/new-account", key="", headers=headers, data={"csrf": "token", **fields})


async def test_an_admin_of_every_account_makes_another_one(api: Api) -> None:
    api.sign_in(Role.ADMIN, EVERY_ACCOUNT)
    answer = await created(api, id="beta", name="Beta Media")
    assert (answer.status_code, answer.headers["location"]) == (303, "/accounts/beta/lists")
    assert api.accounts.accounts["beta"] == AccountConfig(id="beta", name="Beta Media")
    assert (await created(api, id="beta")).status_code == 409
    assert (await created(api, id="no id")).status_code == 422


async def test_nobody_else_does(api: Api) -> None:
    assert (await created(api, id="beta")).status_code == 403
    assert (await api.request("GET", "/new-account", key="")).status_code == 403
    assert "/new-account" not in (await api.page("")).text
    assert not api.written.entries


async def test_everybody_is_told_of_the_accounts_that_they_may_see(api: Api) -> None:
    assert (await api.get("/api/accounts")).json()["data"] == [{"id": "acme", "name": "acme", "role": "admin"}]
    listed = (await api.get("/api/accounts", key=api.key(None))).json()["data"]
    assert [each["id"] for each in listed] == ["acme", "other"]
