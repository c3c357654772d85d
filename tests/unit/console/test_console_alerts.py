"""Alerts by the API and on their page: history, settings, mutes, tests."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from accounts.secrets import SEALED, KeyRing
from console.principals import Role
from database.tables import alerts
from schemas.records import AccountConfig, AuditEntry
from tests.unit.console.console_parts import Api, refusal
from tests.unit.console.rows import told_alert

URL = "https://discord.example/api/webhooks/1/s3cret"
OWN = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def api() -> Api:
    return Api()


def stored(api: Api) -> AccountConfig:
    [config] = api.written.records("config_accounts")
    assert isinstance(config, AccountConfig)
    return config


async def test_alerts_are_listed_the_newest_first_and_by_type(api: Api) -> None:
    api.put(alerts, told_alert(1), told_alert(2, type="billing"), told_alert(3, account="other"))
    listed = (await api.get("/api/alerts")).json()["data"]
    assert [(row["event_id"], row["count"]) for row in listed] == [("evt_2", 2), ("evt_1", 1)]
    listed = (await api.get("/api/alerts", params={"type": "billing"})).json()["data"]
    assert [row["event_id"] for row in listed] == ["evt_2"]


async def test_settings_that_were_never_made_are_the_defaults(api: Api) -> None:
    settings = (await api.get("/api/alerts/settings")).json()
    assert settings["types"]["delivery_failures"]
    assert not settings["types"]["inbound_messages"]
    assert (settings["minimum_severity"], settings["muted_until"], settings["channels"]) == ("low", None, [])


async def test_changed_settings_are_written_sealed_and_audited_without_secrets(api: Api) -> None:
    body = {"types": {"opt_outs": False}, "minimum_severity": "high", "discord_webhook_url": URL}
    answer = await api.request("PUT", "/api/alerts/settings", json=body)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["minimum_severity"], answer.json()["channels"]) == ("high", ["discord"])
    config = stored(api)
    assert (config.id, config.alerts_on, config.alerts_minimum_severity) == ("acme", {"opt_outs": False}, "high")
    assert (config.discord_webhook_url or "").startswith(SEALED)
    [entry] = api.written.records("audit")
    assert isinstance(entry, AuditEntry)
    assert (entry.action, entry.account) == ("alerts.change", "acme")
    assert orjson.loads(entry.details)["after"]["minimum_severity"] == "high"
    assert "s3cret" not in entry.details + answer.text


@pytest.mark.parametrize(
    "body",
    [
        {"types": {"opt_out": False}},
        {"minimum_severity": "hihg"},
        {"discord_webhook_url": "discord"},
        {"discord_webhook_url": "ftp://s3cret"},
        {"slack_webhook_url": "env:HOME"},
        {"alert_webhook_secret": "file:/etc/passwd"},
        {"alert_webhook_secret": ""},
        {"muted_until": "2030-01-01T00:00:00Z"},
    ],
)
async def test_settings_that_do_not_fit_change_nothing_and_are_named(api: Api, body: dict[str, Any]) -> None:
    whole = {"types": {}, "minimum_severity": "low"} | body
    answer = await api.request("PUT", "/api/alerts/settings", json=whole)
    assert refusal(answer) == (422, "validation_failed")
    assert next(iter(body)) in answer.json()["message"]
    assert "s3cret" not in answer.text
    assert not api.written.entries


async def test_a_mute_ends_by_itself_or_by_order(api: Api) -> None:
    answer = await api.post("/api/alerts/mute", json={"duration": "2h"})
    assert answer.json()["muted_until"]
    assert stored(api).alerts_muted_until
    answer = await api.post("/api/alerts/mute", json={"duration": None})
    assert answer.json()["muted_until"] is None


@pytest.mark.parametrize("duration", ["", "soon", "0s", "31d"])
async def test_a_mute_has_a_length_and_an_end(api: Api, duration: str) -> None:
    answer = await api.post("/api/alerts/mute", json={"duration": duration})
    assert refusal(answer) == (422, "validation_failed")


async def test_the_page_shows_history_and_no_address(api: Api) -> None:
    api.put(alerts, told_alert(1, text="<script>"))
    api.sign_in(Role.ADMIN)
    shown = await api.page("/alerts")
    assert shown.status_code == 200
    assert "1 delivery failures in the last minute" in shown.text
    assert "&lt;script&gt;" in shown.text


async def test_the_form_changes_the_settings(api: Api) -> None:
    api.sign_in(Role.ADMIN)
    form = {"csrf": "token", "told": ["billing"], "minimum_severity": "low", "slack_webhook_url": URL}
    answer = await api.request("POST", "/accounts/acme/alerts/settings", key="", data=form, headers=OWN)
    assert answer.status_code == 303, answer.text
    config = stored(api)
    assert [name for name, on in config.alerts_on.items() if on] == ["billing"]
    assert config.slack_webhook_url is not None


async def test_a_mistake_in_the_form_is_told_above_it_and_keeps_what_was_ticked(api: Api) -> None:
    api.sign_in(Role.ADMIN)
    answer = await api.form("/alerts/settings", told=["billing"], slack_webhook_url="slack")
    assert answer.status_code == 422
    assert "slack_webhook_url: is not a valid web address" in answer.text
    assert answer.text.count(" checked>") == 1
    assert not api.written.entries


async def test_without_a_key_for_secrets_no_new_one_is_stored_and_the_rest_can_be_changed(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("console.changes.alerts", "operations.alerts"):
        monkeypatch.setattr(f"{module}.keyring", KeyRing)
    body = {"types": {}, "minimum_severity": "low"}
    answer = await api.request("PUT", "/api/alerts/settings", json={**body, "discord_webhook_url": URL})
    assert refusal(answer) == (422, "validation_failed")
    assert "discord_webhook_url: cannot be encrypted" in answer.json()["message"]
    assert not api.written.entries
    api.accounts.put(AccountConfig(id="acme", name="Acme", discord_webhook_url=URL))
    assert (await api.post("/api/alerts/mute", json={"duration": "2h"})).status_code == 200


@pytest.mark.parametrize(
    ("role", "path", "allowed"),
    [
        (Role.VIEWER, "mute", False),
        (Role.VIEWER, "test", False),
        (Role.VIEWER, "settings", False),
        (Role.SUPPORT, "mute", True),
        (Role.SUPPORT, "test", True),
        (Role.SUPPORT, "settings", False),
    ],
)
async def test_who_may_do_what(api: Api, role: Role, path: str, allowed: bool) -> None:
    api.sign_in(role)
    form = {"csrf": "token", "duration": "2h"}
    answer = await api.request("POST", f"/accounts/acme/alerts/{path}", key="", data=form, headers=OWN)
    assert (answer.status_code != 403) == allowed
