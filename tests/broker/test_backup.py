"""A drill: a deployment is backed up, lost, and restored elsewhere, with everyone who must not be texted."""

from __future__ import annotations

import asyncio
import json
import stat
import time
from pathlib import Path

import pytest
from sqlalchemy import insert

from accounts.secrets import new_key
from bus.admin import Admin
from bus.clock import now_ms
from bus.kept_key import kept_fingerprint
from bus.settings import BusSettings
from database.engine import disposing, open_engine
from database.read_state import move_positions
from database.tables import contacts
from schemas.ids import recipient_key
from schemas.pseudonyms import Pseudonyms
from schemas.records import AccountConfig, ContactCommand, ContactState, ListConfig
from tests.cluster import Cluster, running

pytestmark = pytest.mark.broker

LIST, REMOVED, RESTORED = "+18005550001", "+15550100071", "+15550100072"
CONFIGS = (AccountConfig(id="acme", name="Acme"), ListConfig(account="acme", number=LIST))
PASSPHRASE = {"TRACKLY_BACKUP_PASSPHRASE": "correct horse battery"}
KEYS = {"TRACKLY_SECRET_KEYS": new_key(), "TRACKLY_PSEUDONYM_KEY": "a pseudonym key of a test"}
NO_KEYS = {"TRACKLY_SECRET_KEYS": new_key(), "TRACKLY_PSEUDONYM_KEY": ""}

ENDPOINT = """
[[accounts]]
id = "acme"
name = "Acme"
[[accounts.lists]]
number = "+18005550001"
[[accounts.endpoints]]
id = "crm"
url = "https://crm.example.com/trackly"
secret = "a-secret-that-is-sealed-on-kafka"
"""


def ordered(cluster: Cluster, command: str, number: str, count: int = 1) -> ContactState:
    """The state of a contact after an order about it."""
    issued = now_ms()
    order = ContactCommand(
        event_id=f"evt_{command}_{number}_{issued}",
        command=command,
        account="acme",
        list_number=LIST,
        phone_number=number,
        issued_at=issued,
    )
    cluster.send("commands", order, recipient_key("acme", number))
    return cluster.wait_for("contacts", ContactState, number, count=count)[-1]


@pytest.fixture
def lost(broker: str, tmp_path: Path) -> Path:
    """The backup of a deployment that is gone."""
    file = tmp_path / "trackly.backup"
    (tmp_path / "old").mkdir()
    with running(broker, tmp_path / "old", "bo", CONFIGS, "streams-1", **KEYS) as old:
        (tmp_path / "accounts.toml").write_text(ENDPOINT, "utf-8")
        applied = old.trackly("apply", str(tmp_path / "accounts.toml"), "--yes")
        assert applied.returncode == 0, applied.stderr
        assert not ordered(old, "remove", REMOVED).active
        assert not ordered(old, "remove", RESTORED).active
        short = old.trackly("backup", str(file), TRACKLY_BACKUP_PASSPHRASE="short")
        assert (short.returncode, file.exists()) == (1, False)
        made = old.trackly("backup", str(file), "--json", **PASSPHRASE)
        assert made.returncode == 0, made.stderr
        assert json.loads(made.stdout)["records"]["contacts"] == 2
        again = old.trackly("backup", str(file), **PASSPHRASE)
        assert (again.returncode, "already exists" in again.stderr) == (1, True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not any(secret.encode() in file.read_bytes() for secret in (REMOVED, "acme", KEYS["TRACKLY_SECRET_KEYS"]))
    return file


def test_what_was_lost_comes_back_elsewhere_with_other_partitions(lost: Path, broker: str, tmp_path: Path) -> None:
    settings = BusSettings(bootstrap_servers=broker, topic_prefix="bn.", partitions=6, data_dir=tmp_path / "new")
    settings = settings.model_copy(update={"topic_prefix": f"bn{time.time_ns() % 10**6:06d}."})
    with Cluster(settings, tmp_path / "new", **KEYS) as new:
        checked = new.trackly("restore", str(lost), "--check", **PASSPHRASE)
        assert (checked.returncode, "can be restored" in checked.stderr) == (0, True), checked.stderr
        wrong = new.trackly("restore", str(lost), "--check", TRACKLY_BACKUP_PASSPHRASE="another passphrase")
        assert (wrong.returncode, "passphrase is wrong" in wrong.stderr) == (1, True)
        keyless = new.trackly("restore", str(lost), "--yes", **PASSPHRASE, **NO_KEYS)
        assert (keyless.returncode, "--keys-to" in keyless.stderr) == (1, True)
        keys = tmp_path / "keys.env"
        assert new.trackly("restore", str(lost), "--keys-to", str(keys), **PASSPHRASE).returncode == 0
        assert f"TRACKLY_SECRET_KEYS={KEYS['TRACKLY_SECRET_KEYS']}\n" in keys.read_text("utf-8")
        assert stat.S_IMODE(keys.stat().st_mode) == 0o600

        restored = new.trackly("restore", str(lost), "--yes", **PASSPHRASE)
        assert restored.returncode == 0, restored.stderr
        twice = new.trackly("restore", str(lost), "--yes", **PASSPHRASE)
        assert (twice.returncode, "already has records" in twice.stderr) == (1, True)

        # Streams would not start with another key of pseudonyms.
        fingerprint = Pseudonyms(KEYS["TRACKLY_PSEUDONYM_KEY"]).fingerprint
        assert asyncio.run(kept_fingerprint(settings)) == fingerprint

        (tmp_path / "accounts.toml").write_text(ENDPOINT, "utf-8")
        plan = new.trackly("apply", str(tmp_path / "accounts.toml"), "--yes")
        assert (plan.returncode, "Nothing to change" in plan.stdout + plan.stderr) == (0, True), (
            plan.stdout + plan.stderr
        )

        states = {state.phone_number: state for state in new.records("contacts") if isinstance(state, ContactState)}
        assert {number: state.active for number, state in states.items()} == {REMOVED: False, RESTORED: False}
        new.start("streams-1")
        new.wait_ready()
        # The rows are back too: an order goes on from them, and nothing else is touched.
        assert ordered(new, "restore", RESTORED, count=2).active
        still = new.trackly("contact", "show", "acme", LIST, REMOVED, "--json")
        assert json.loads(still.stdout)["active"] is False, still.stdout + still.stderr


def removed_row(number: str, reason: str) -> dict[str, object]:
    """The read model's row of a removed contact."""
    return {
        "contact": f"acme:{LIST}:{number}", "account": "acme", "list_number": LIST, "number": number, "active": False,
        "held": False, "failures": 0, "reason": reason, "since": now_ms(), "last_event_id": "evt", "version": 9,
    }  # fmt: skip


def test_opt_outs_after_the_backup_come_back_from_the_database(broker: str, tmp_path: Path) -> None:
    later, database = "+15550100073", f"sqlite:///{tmp_path}/console.db"
    with running(broker, tmp_path, "br", CONFIGS, "streams-1", **KEYS) as restored:
        topic = restored.settings.catalogue["contacts"].name
        assert restored.trackly("read-model", "migrate").returncode == 0
        with disposing(open_engine(database)) as engine, engine.begin() as connection:
            move_positions(connection, {topic: "of the lost cluster"}, {(topic, 0): 7})
            connection.execute(insert(contacts).values(**removed_row(later, "complaint")))
        assert ordered(restored, "remove", REMOVED).active is False

        done = restored.trackly("contact", "recover", "--yes", "--json")
        assert (done.returncode, json.loads(done.stdout)["removed"]) == (0, 1), done.stderr
        assert restored.wait_for("contacts", ContactState, later)[-1].reason == "complaint"
        again = restored.trackly("contact", "recover", "--yes", "--json")
        assert json.loads(again.stdout)["removed"] == 0

        assert restored.trackly("read-model", "accept", "--yes").returncode == 0
        with (
            disposing(open_engine(database)) as engine,
            engine.begin() as connection,
            Admin(restored.settings) as admin,
        ):
            move_positions(connection, {topic: admin.identities([topic])[topic].id}, {(topic, 0): 1})
        refused = restored.trackly("contact", "recover", "--yes")
        assert (refused.returncode, "knows no more" in refused.stderr) == (1, True)
