"""API keys and users: who may do what with an account, and who decides that."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from console.principals import EVERY_ACCOUNT, Role
from console.signin.users import User, add_user, all_users, change, user_by_email
from database.tables import audit, grants, key_uses
from schemas.records import ApiKey, AuditEntry
from tests.unit.console.console_parts import Api, refusal


@pytest.fixture
def api() -> Api:
    api = Api()
    api.sign_in(Role.ADMIN)
    return api


def written_key(api: Api) -> ApiKey:
    (key,) = api.written.records("config_keys")
    assert isinstance(key, ApiKey)
    return key


async def test_a_key_is_shown_once_and_only_its_digest_is_stored(api: Api) -> None:
    made = (await api.post("/api/keys", json={"name": "till", "role": "viewer", "expires_in_days": 30})).json()
    key = written_key(api)
    assert made["text"].startswith(key.prefix)
    assert made["text"] not in str(key)
    assert (key.account, key.role) == ("acme", "viewer")
    entries = [each for each in api.written.records("audit") if isinstance(each, AuditEntry)]
    assert [(each.actor, each.action) for each in entries] == [("key:acme shop", "key.create")]


async def test_the_role_of_a_key_counts(api: Api) -> None:
    text = (await api.post("/api/keys", json={"name": "till", "role": "viewer"})).json()["text"]
    api.keys.put(written_key(api))
    assert (await api.request("GET", "/api/deliveries", key=text)).status_code == 200
    answer = await api.request("POST", "/api/endpoints/crm/pause", key=text)
    assert refusal(answer) == (403, "forbidden")
    assert (await api.request("GET", "/api/keys", key=text)).status_code == 403


@pytest.mark.parametrize(
    ("body", "field"),
    [({"name": ""}, "name"), ({"name": "a", "role": "king"}, "role"), ({"name": "a", "expires_in_days": 0}, "expires")],
)
async def test_a_key_that_makes_no_sense_is_refused(api: Api, body: dict[str, Any], field: str) -> None:
    answer = await api.post("/api/keys", json=body)
    assert refusal(answer) == (422, "validation_failed")
    assert field in answer.json()["message"]


CHANGES = {
    "config_keys": ("POST", "/api/keys", {"name": "till"}),
    "config_endpoints": ("POST", "/api/endpoints/crm/pause", None),
    "config_accounts": ("POST", "/api/alerts/mute", {"duration": "2h"}),
    "webhooks_replays": ("POST", "/api/replays", {"endpoint": "crm", "since": "24h"}),
}


@pytest.mark.parametrize("topic", CHANGES)
async def test_nothing_is_changed_without_an_entry_in_the_audit_log(api: Api, topic: str) -> None:
    method, path, body = CHANGES[topic]
    api.written.broken_topics = {"audit"}
    assert refusal(await api.request(method, path, json=body)) == (503, "not_available")
    assert not api.written.entries


@pytest.mark.parametrize("topic", CHANGES)
async def test_the_audit_log_says_what_failed_after_all(api: Api, topic: str) -> None:
    method, path, body = CHANGES[topic]
    api.written.broken_topics = {topic}
    assert refusal(await api.request(method, path, json=body)) == (503, "not_available")
    entries = [each for each in api.written.records("audit") if isinstance(each, AuditEntry)]
    assert [each.outcome for each in entries] == ["done", "failed"]
    assert len({(each.action, each.object, each.request_id) for each in entries}) == 1


async def test_a_page_makes_a_key_and_revokes_it(api: Api) -> None:
    assert "trk_" in (await api.form("/keys", name="till", role="support", days="30")).text
    key = written_key(api)
    api.keys.put(key)
    assert (await api.form(f"/keys/{key.id}/revoke")).status_code == 303
    assert api.written.records("config_keys")[-1].revoked_at is not None  # type: ignore[union-attr]


async def test_it_is_shown_when_a_key_was_last_used(api: Api) -> None:
    key_id = next(key.id for key in api.keys.by_id.values() if key.account == "acme")
    api.put(key_uses, {"key_id": key_id, "last_used_at": 1_705_314_600_000})
    (found,) = (await api.get("/api/keys")).json()["data"]
    assert found["last_used_at"].startswith("20")


@pytest.mark.parametrize("user_id", ["9" * 30, str(2**63), "0", "-1", "x"])
async def test_an_id_of_a_user_that_can_be_none_is_refused(api: Api, user_id: str) -> None:
    assert (await api.form(f"/users/{user_id}/role", role="viewer")).status_code == 422


async def test_a_user_with_a_role_of_a_newer_version_keeps_nobody_out(api: Api) -> None:
    with api.engine.begin() as connection:
        user = add_user(connection, "bob@example.com", "Bob", {"acme": Role.VIEWER})
        connection.execute(grants.update().where(grants.c.user_id == user.id).values(role="auditor"))
        assert [found.grants for found in all_users(connection)] == [{}]
    assert (await api.page("/users")).status_code == 200


async def test_who_runs_the_installation_is_named_only_to_themselves(api: Api) -> None:
    with api.engine.begin() as connection:
        add_user(connection, "bob@example.com", "Bob", {"acme": Role.VIEWER})
        add_user(connection, "root@example.com", "Root", {EVERY_ACCOUNT: Role.ADMIN})
    text = (await api.page("/users")).text
    assert "bob@example.com" in text
    assert "root@example.com" not in text
    assert "1 more user can see every account" in text
    api.sign_in(Role.ADMIN, EVERY_ACCOUNT)
    text = (await api.page("/users")).text
    assert "root@example.com" in text
    assert "1 more" not in text


def bob(api: Api) -> User:
    with api.engine.connect() as connection:
        found = user_by_email(connection, "bob@example.com")
    assert found is not None
    return found


async def invite_bob(api: Api, role: str) -> httpx.Response:
    return await api.form("/users", email="bob@example.com", role=role)


async def test_a_user_gets_links_until_a_password_is_set_and_then_only_a_role(api: Api) -> None:
    for role in ("support", "viewer"):
        assert "/welcome/" in (await invite_bob(api, role)).text
    user = bob(api)
    with api.engine.begin() as connection:
        change(connection, user.id, password="argon2id")
    granted = await invite_bob(api, "admin")
    assert (granted.status_code, granted.headers["location"]) == (303, "/accounts/acme/users?notice=saved")
    assert bob(api).grants == {"acme": Role.ADMIN}


@pytest.mark.parametrize(
    ("grants", "status"),
    [({"acme": Role.VIEWER}, 200), ({"acme": Role.VIEWER, "other": Role.VIEWER}, 409), ({"other": Role.VIEWER}, 404)],
    ids=str,
)
async def test_an_admin_gives_a_new_password_only_to_users_of_the_account_alone(
    api: Api, grants: dict[str, Role], status: int
) -> None:
    with api.engine.begin() as connection:
        user = add_user(connection, "bob@example.com", "", grants)
        change(connection, user.id, password="argon2id")
    answer = await api.form(f"/users/{user.id}/link")
    assert answer.status_code == status
    assert ("/welcome/" in answer.text) is (status == 200)
    assert len(api.written.records("audit")) == (status == 200)


@pytest.mark.parametrize("account", ["acme", EVERY_ACCOUNT])
@pytest.mark.parametrize("grants", [{"other": Role.VIEWER}, {EVERY_ACCOUNT: Role.VIEWER}, {}], ids=str)
async def test_a_user_whose_password_others_may_know_gets_no_role_from_a_page(
    api: Api, grants: dict[str, Role], account: str
) -> None:
    with api.engine.begin() as connection:
        user = add_user(connection, "bob@example.com", "", grants)
    api.sign_in(Role.ADMIN, account)
    answer = await invite_bob(api, "admin")
    assert answer.status_code == 409
    assert "trackly users link" in answer.text
    assert bob(api).grants == grants
    assert not api.written.entries
    with api.engine.begin() as connection:
        change(connection, user.id, subject="https://issuer.example u-1")
    assert (await invite_bob(api, "viewer")).status_code == 303
    assert bob(api).grants == {**grants, "acme": Role.VIEWER}


async def test_an_admin_of_one_account_reaches_no_user_of_another(api: Api) -> None:
    with api.engine.begin() as connection:
        eve = add_user(connection, "eve@example.com", "", {"other": Role.ADMIN})
    assert (await api.form(f"/users/{eve.id}/role", role="none")).status_code == 404
    assert "eve@example.com" not in (await api.page("/users")).text
    with api.engine.connect() as connection:
        assert [user.grants for user in all_users(connection)] == [{"other": Role.ADMIN}]


async def test_nobody_changes_the_own_role(api: Api) -> None:
    with api.engine.begin() as connection:
        add_user(connection, "ann@example.com", "", {"acme": Role.ADMIN})
    assert (await api.form("/users/1/role", role="viewer")).status_code == 409


async def test_the_audit_log_is_for_admins_of_the_account(api: Api) -> None:
    entry = {
        "event_id": "evt_1",
        "account": "acme",
        "actor": "user:ann@example.com",
        "action": "endpoint.pause",
        "object": "endpoint crm",
        "details": "{}",
        "remote_ip": "",
        "outcome": "done",
        "at": 1,
    }
    others = [
        {**entry, "event_id": "evt_2", "account": "other", "object": "endpoint secret"},
        {**entry, "event_id": "evt_3", "account": "", "action": "sign-in", "object": "root@example.com"},
    ]
    api.put(audit, entry, *others)
    listed = (await api.page("/audit", params={"action": "endpoint.pause"})).text
    assert "endpoint crm" in listed
    assert "endpoint secret" not in listed
    assert "root@example.com" not in (await api.page("/audit")).text
    assert (await api.page("/audit/installation")).status_code == 403
    api.sign_in(Role.SUPPORT)
    assert (await api.page("/audit")).status_code == 403
    api.sign_in(Role.ADMIN, EVERY_ACCOUNT)
    assert "/audit/installation" in (await api.page("/audit")).text
    listed = (await api.page("/audit/installation")).text
    assert "root@example.com" in listed
    assert "endpoint" not in listed.partition('id="list"')[2]
