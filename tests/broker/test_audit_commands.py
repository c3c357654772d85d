"""Changes by commands are in the audit log of the accounts that they concern, without secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from accounts.secrets import new_key
from bus.settings import BusSettings
from schemas.records import AuditEntry
from tests.cluster import Cluster
from tests.commands import Trackly

pytestmark = pytest.mark.broker

ACCOUNTS = """
[[accounts]]
id = "acme"
[accounts.providers.twilio]
auth_token = "t0p-s3cret"
[[accounts.lists]]
number = "+18005551234"
[[accounts.endpoints]]
id = "crm"
url = "https://crm.example.com/trackly?token=t0p-s3cret"
"""
NUMBER = "+15551230001"
LIST = "+18005551234"

COMMANDS = [
    (["endpoints", "pause", "acme/crm"], [("acme", "endpoint.pause", "endpoint crm")]),
    (["endpoints", "resume", "acme/crm"], [("acme", "endpoint.resume", "endpoint crm")]),
    (["endpoints", "rotate-secret", "acme/crm"], [("acme", "endpoint.rotate", "endpoint crm")]),
    (["endpoints", "activate-secret", "acme/crm"], [("acme", "endpoint.activate", "endpoint crm")]),
    (["alerts", "mute", "acme", "2h"], [("acme", "alerts.mute", "account acme")]),
    (["contact", "remove", "acme", LIST, NUMBER], [("acme", "contact.remove", NUMBER)]),
    (["secrets", "rewrap"], [("", "secrets.rewrap", "stored secrets")]),
    (["users", "add", "ann@example.com", "--account", "acme"], [("acme", "user.add", "ann@example.com")]),
    (["users", "grant", "ann@example.com", "--role", "admin"], [("", "user.grant", "ann@example.com")]),
    (
        ["users", "link", "ann@example.com"],
        [("", "user.link", "ann@example.com"), ("acme", "user.link", "ann@example.com")],
    ),
]


def test_each_change_by_a_command_has_an_entry(
    trackly: Trackly, topics: None, bus_settings: BusSettings, tmp_path: Path, environment: dict[str, str]
) -> None:
    cluster = Cluster(bus_settings, tmp_path)

    def entries() -> list[AuditEntry]:
        return [each for each in cluster.records("audit") if isinstance(each, AuditEntry)]

    path = tmp_path / "accounts.toml"
    path.write_text(ACCOUNTS, "utf-8")
    assert trackly("apply", str(path), "--yes").returncode == 0
    assert sorted((each.account, each.action, each.object) for each in entries()) == [
        ("acme", "account.create", "account acme"),
        ("acme", "endpoint.create", "endpoint crm"),
        ("acme", "list.create", f"list {LIST}"),
    ]
    environment["TRACKLY_SECRET_KEYS"] = f"{new_key()},{environment['TRACKLY_SECRET_KEYS']}"
    for arguments, expected in COMMANDS:
        before = len(entries())
        done = trackly(*arguments)
        assert done.returncode == 0, done.stderr
        assert sorted((each.account, each.action, each.object) for each in entries()[before:]) == expected, arguments
    before = len(entries())
    key = json.loads(trackly("keys", "create", "--name", "shop", "--account", "acme", "--json").stdout)
    assert trackly("keys", "revoke", key["id"]).returncode == 0
    found = entries()
    assert [(each.account, each.action, each.object) for each in found[before:]] == [
        ("acme", "key.create", f"{key['id']} shop"),
        ("acme", "key.revoke", f"{key['id']} shop"),
    ]
    assert {each.actor.partition(":")[0] for each in found} == {"command"}
    assert not any("t0p-s3cret" in str(each) or key["key"] in str(each) for each in found)


def test_nothing_that_changes_nothing_has_one(
    trackly: Trackly, topics: None, bus_settings: BusSettings, tmp_path: Path
) -> None:
    path = tmp_path / "accounts.toml"
    path.write_text(ACCOUNTS, "utf-8")
    assert trackly("apply", str(path), "--yes").returncode == 0
    cluster = Cluster(bus_settings, tmp_path)
    before = len(cluster.records("audit"))
    assert trackly("apply", str(path), "--yes").returncode == 0
    assert trackly("endpoints", "resume", "acme/crm").returncode == 0
    assert trackly("endpoints", "pause", "acme/nobody").returncode == 1
    assert len(cluster.records("audit")) == before


def test_a_user_is_let_in_again_without_kafka(trackly: Trackly, environment: dict[str, str]) -> None:
    environment["KAFKA_BOOTSTRAP_SERVERS"] = "127.0.0.1:1"
    done = trackly("users", "add", "ann@example.com")
    assert done.returncode == 0
    assert "/welcome/" in done.stdout
    assert "not in the audit log, because Kafka does not answer" in done.stderr
