"""`trackly doctor` finds the faults of a deployment, one misconfiguration at a time, and names the remedies."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from pydantic import SecretStr

from accounts.secrets import new_key
from bus import kafka_time
from bus.admin import Admin
from bus.clock import now_ms
from bus.embedded.broker import free_port
from bus.kafka_time import check_clock
from bus.producer import Producer
from bus.settings import BusSettings
from database.engine import disposing, open_engine
from database.read_state import Freshness, move_positions, tell_freshness
from schemas.records import WebhookAttempt
from schemas.topics import Topic
from tests.commands import NOW, run_trackly, write
from tests.patience import PATIENCE

pytestmark = pytest.mark.broker

ACCOUNTS = """
[[accounts]]
id = "acme"
name = "Acme Media"
[accounts.providers.twilio]
auth_token = "t0p-s3cret"
[[accounts.lists]]
number = "+18005551234"
[[accounts.endpoints]]
id = "crm"
url = "https://192.0.2.7/trackly"
"""


@pytest.fixture(scope="module")
def deployment(broker: str, tmp_path_factory: pytest.TempPathFactory) -> BusSettings:
    """Create the topics of a separate deployment."""
    settings = BusSettings(
        bootstrap_servers=broker,
        topic_prefix=f"dr{uuid4().hex[:6]}.",
        partitions=2,
        data_dir=tmp_path_factory.mktemp("doctor"),
    )
    with Admin(settings, PATIENCE) as admin:
        admin.apply(settings.catalogue)
    return settings


@pytest.fixture(scope="module")
def sound(deployment: BusSettings) -> dict[str, str]:
    """Return the environment of a deployment whose only fault is that its services are not running."""
    sound = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": deployment.bootstrap_servers,
        "TRACKLY_TOPIC_PREFIX": deployment.topic_prefix,
        "TRACKLY_PARTITIONS": str(deployment.partitions),
        "TRACKLY_DATA_DIR": str(deployment.data_dir),
        "TRACKLY_SECRET_KEYS": new_key(),
        "TRACKLY_PSEUDONYM_KEY": "a pseudonym key of a test",
        "TRACKLY_EVIDENCE_KEY": new_key(),
        "TRACKLY_MAX_CONNECTIONS": "100",
        "TRACKLY_ALLOW_SUBNETS": "192.0.2.0/24",
    }
    migrated = run_trackly(("read-model", "migrate"), sound)
    assert migrated.returncode == 0, migrated.stderr
    configure(sound, deployment.data_dir, ACCOUNTS)
    return sound


@pytest.fixture
def restored(sound: dict[str, str], deployment: BusSettings) -> Iterator[None]:
    """Restore the accounts afterward."""
    yield
    run_trackly(("endpoints", "resume", "acme/crm"), sound)
    configure(sound, deployment.data_dir, ACCOUNTS)


def configure(environment: dict[str, str], directory: Path, accounts: str, *options: str) -> None:
    path = directory / "accounts.toml"
    path.write_text(accounts, "utf-8")
    done = run_trackly(("apply", str(path), "--yes", *options), environment)
    assert done.returncode == 0, done.stderr


def examined(environment: dict[str, str], *options: str) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """Return the doctor's output, and its problems as `area/code`."""
    done = run_trackly(("doctor", "--json", *options), environment)
    found: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    wrong = [each for each in found if each["level"] != "ok"]
    assert all(each["remedy"] for each in wrong), wrong
    return done, {f"{each['area']}/{each['code']}" for each in wrong}


IDLE = {"groups/nobody"}
"""Streams and sinks do not run in these tests."""


def test_a_sound_deployment_has_no_errors(sound: dict[str, str]) -> None:
    done, wrong = examined(sound)
    assert (done.returncode, wrong) == (0, IDLE), done.stdout
    assert examined(sound, "--strict")[0].returncode == 1
    shown = run_trackly(("doctor",), sound)
    assert "ok       topics: " in shown.stdout
    assert "t0p-s3cret" not in shown.stdout + done.stdout


@pytest.mark.parametrize(
    ("found", "code", "changes"),
    [
        ("settings/invalid", 1, {"TRACKLY_PARTITIONS": "many"}),
        ("broker/unreachable", 1, {"KAFKA_BOOTSTRAP_SERVERS": f"localhost:{free_port()}"}),
        ("topics/missing", 1, {"TRACKLY_RETRY_SCHEDULE": "7m"}),
        ("topics/partitions", 1, {"TRACKLY_PARTITIONS": "9"}),
        ("topics/replication", 1, {"TRACKLY_REPLICATION": "3"}),
        ("topics/min_insync", 1, {"TRACKLY_REPLICATION": "3"}),
        ("registry/unreachable", 1, {"SCHEMA_REGISTRY_URL": f"http://localhost:{free_port()}"}),
        ("database/unreachable", 1, {"DATABASE_URL": f"postgresql://u:pa55@localhost:{free_port()}/x"}),
        ("database/not_migrated", 1, {"DATABASE_URL": "sqlite:///{tmp_path}/empty.db"}),
        ("files/too_few", 0, {"TRACKLY_MAX_CONNECTIONS": "100000000"}),
        ("keys/no_pseudonym_key", 0, {"TRACKLY_PSEUDONYM_KEY": ""}),
        ("directory/not_writable", 1, {"TRACKLY_DATA_DIR": "/dev/null/trackly"}),
        ("secrets/unreadable", 1, {"TRACKLY_SECRET_KEYS": new_key()}),
    ],
)
def test_a_wrong_setting_is_found(
    sound: dict[str, str], tmp_path: Path, found: str, code: int, changes: dict[str, str]
) -> None:
    changed = {name: value.replace("{tmp_path}", str(tmp_path)) for name, value in changes.items()}
    if "empty.db" in changed.get("DATABASE_URL", ""):
        (tmp_path / "empty.db").touch()
    done, wrong = examined({**sound, **changed})
    assert found in wrong, done.stdout
    assert done.returncode == code, done.stdout
    assert "pa55" not in done.stdout + done.stderr


def test_a_missing_topic_of_contacts_is_not_merely_created(sound: dict[str, str]) -> None:
    done, _ = examined({**sound, "TRACKLY_TOPIC_PREFIX": "nobody."})
    [remedy] = [line for line in done.stdout.splitlines() if "nobody.sms.contacts does not exist" in line]
    assert "trackly tables publish-contacts" in remedy


def test_a_topic_of_contacts_that_was_recreated_is_found_until_it_is_accepted(
    sound: dict[str, str], deployment: BusSettings
) -> None:
    contacts = deployment.catalogue["contacts"].name
    with disposing(open_engine(f"sqlite:///{deployment.data_dir}/console.db")) as engine, engine.begin() as connection:
        move_positions(connection, {contacts: "earlier"}, {(contacts, 0): 7})
    done, wrong = examined(sound)
    assert (done.returncode, wrong) == (1, {*IDLE, "read model/recreated"}), done.stdout
    assert "trackly tables publish-contacts" in done.stdout
    assert run_trackly(("read-model", "accept", "--yes"), sound).returncode == 0
    assert examined(sound)[1] == IDLE


def test_records_that_the_read_model_lacks_for_good_are_found(sound: dict[str, str], deployment: BusSettings) -> None:
    with disposing(open_engine(f"sqlite:///{deployment.data_dir}/console.db")) as engine:
        with engine.begin() as connection:
            tell_freshness(connection, Freshness(None, 0, now_ms(), lost=3))
        done, wrong = examined(sound)
        assert (done.returncode, wrong) == (0, {*IDLE, "read model/lost"}), done.stdout
        assert "trackly read-model rebuild" in done.stdout
        with engine.begin() as connection:
            tell_freshness(connection, Freshness(None, 0, now_ms()))
    assert examined(sound)[1] == IDLE


def alter(settings: BusSettings, topic: Topic, retention: str) -> None:
    client = KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    try:
        client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, {"retention.ms": retention})])
    finally:
        client.close()


def test_a_topic_that_keeps_records_for_too_short_a_time_is_found(
    sound: dict[str, str], deployment: BusSettings
) -> None:
    topic = deployment.catalogue["raw"]
    alter(deployment, topic, "60000")
    done, wrong = examined(sound)
    assert "topics/differs" in wrong
    assert "retention.ms is 60000" in done.stdout
    alter(deployment, topic, topic.settings["retention.ms"])


def unproven(environment: dict[str, str], directory: Path) -> None:
    configure(environment, directory, ACCOUNTS.replace("twilio]\nauth_token", "infobip]\nusername"))


def internal(environment: dict[str, str], directory: Path) -> None:
    configure(environment, directory, ACCOUNTS.replace("192.0.2.7", "10.0.0.1"))


def disabled(environment: dict[str, str], directory: Path) -> None:
    configure(environment, directory, ACCOUNTS + "enabled = false\n")


def unset(environment: dict[str, str], directory: Path) -> None:
    configure(environment, directory, ACCOUNTS.replace('"t0p-s3cret"', '"env:NOWHERE_SET"'))


def paused(environment: dict[str, str], directory: Path) -> None:
    done = run_trackly(("endpoints", "pause", "acme/crm"), environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize(
    ("found", "plant"),
    [
        ("proofs/none", unproven),
        ("endpoints/refused", internal),
        ("endpoints/disabled", disabled),
        ("endpoints/paused", paused),
        ("secrets/unreadable", unset),
    ],
)
def test_an_account_that_is_not_set_up_well_is_found(
    sound: dict[str, str], tmp_path: Path, found: str, plant: Callable[[dict[str, str], Path], None]
) -> None:
    plant(sound, tmp_path)
    done, wrong = examined(sound)
    assert found in wrong, done.stdout


def test_an_endpoint_that_has_failed_again_and_again_is_found(sound: dict[str, str], deployment: BusSettings) -> None:
    attempts = [
        (b"acme/crm", WebhookAttempt(endpoint="acme/crm", event_id=f"e{number}", event="delivery", attempt=1, url="https://x",
                                     status=500, error_class="http_status", latency_ms=5, request_size=1,
                                     at=NOW + number, final=False))
        for number in range(6)
    ]  # fmt: skip
    write(deployment, "webhooks_attempts", *attempts)
    done, wrong = examined(sound)
    assert "endpoints/fails" in wrong, done.stdout
    assert "6 times in a row, last with status 500" in done.stdout


def test_a_process_with_another_pseudonym_key_is_found(sound: dict[str, str], deployment: BusSettings) -> None:
    asyncio.run(
        check_clock(deployment.model_copy(update={"pseudonym_key": SecretStr("another key of a test")}), "console/1")
    )
    done, wrong = examined(sound)
    assert "keys/pseudonym_keys_differ" in wrong
    assert "another key of a test" not in done.stdout


def test_a_process_without_the_key_that_others_encrypt_with_is_found(
    sound: dict[str, str], deployment: BusSettings
) -> None:
    other = new_key()
    asyncio.run(check_clock(deployment.model_copy(update={"secret_keys": (SecretStr(other),)}), "sinks/1"))
    done, wrong = examined(sound)
    assert "keys/secret_keys_differ" in wrong
    assert other not in done.stdout


def test_two_processes_with_the_same_name_are_found(
    sound: dict[str, str], deployment: BusSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for process in ("one", "another", "one"):
        monkeypatch.setattr(kafka_time, "_RANDOM", process)
        asyncio.run(check_clock(deployment, "streams/streams-7"))
    _, wrong = examined(sound)
    assert "names/twice" in wrong


def test_versions_that_run_beside_each_other_are_found(sound: dict[str, str], deployment: BusSettings) -> None:
    async def ask(version: str) -> None:
        producer = Producer(deployment)
        await producer.start()
        topic, headers = deployment.catalogue["clocks"].name, [("version", version.encode())]
        await (await producer.send(topic, None, key=b"streams/streams-2", headers=headers))
        await producer.stop()

    asyncio.run(check_clock(deployment, "streams/streams-1"))
    assert "versions/differ" not in examined(sound)[1]
    asyncio.run(ask("0.0.9"))
    done, wrong = examined(sound)
    assert "versions/differ" in wrong
    assert "streams runs 0.0.9 and " in done.stdout
