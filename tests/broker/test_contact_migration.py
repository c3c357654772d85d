"""`trackly contacts migrate` on a real Kafka, with a running streams worker."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from bus.memory import CODEC
from schemas.records import AccountConfig, ContactCommand, ContactState, ListConfig
from tests.cluster import Cluster, running
from tests.patience import until

pytestmark = pytest.mark.broker

LIST = "+18005550001"
CANONICAL, OLD = "+525512345678", "+5215512345678"
ACTIVE_OLD = "+22997123456"


def state(number: str, active: bool) -> ContactState:
    return ContactState(
        contact=f"acme:{LIST}:{number}",
        account="acme",
        list_number=LIST,
        phone_number=number,
        active=active,
        failures=1 if active else 0,
        reason=None if active else "complaint",
        since=1_705_314_600_000,
        last_event_id="evt_1",
    )


@pytest.fixture(scope="module")
def cluster(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    settings = AccountConfig(id="acme", name="Acme"), ListConfig(account="acme", number=LIST)
    with running(broker, tmp_path_factory.mktemp("migration"), "mig", settings, "streams-1") as cluster:
        for old in (state(OLD, active=False), state(ACTIVE_OLD, active=True)):
            cluster.send("contacts", old, old.contact.encode())
        yield cluster


def may_be_texted(cluster: Cluster, number: str) -> bool:
    shown = cluster.trackly("contact", "show", "acme", LIST, number, "--json")
    return bool(json.loads(shown.stdout)["active"])


def test_a_removed_contact_moves_with_its_reason_and_is_never_active_between(cluster: Cluster) -> None:
    assert not may_be_texted(cluster, CANONICAL)
    shown = cluster.trackly("contacts", "migrate", "--account", "acme", "--json")
    assert [json.loads(line) for line in shown.stdout.splitlines()] == [
        {"from": ACTIVE_OLD, "to": "+2290197123456", "list_number": LIST, "active": True},
        {"from": OLD, "to": CANONICAL, "list_number": LIST, "active": False},
    ]
    assert "Nothing was changed" in shown.stderr
    assert not [each for each in cluster.records("commands") if isinstance(each, ContactCommand)]

    done = cluster.trackly("contacts", "migrate", "--account", "acme", "--yes")
    assert done.returncode == 0, done.stderr
    last = {each.key: each.value for each in cluster.stored("contacts")}
    assert last[f"acme:{LIST}:{OLD}".encode()] is None
    assert last[f"acme:{LIST}:{ACTIVE_OLD}".encode()] is None
    moved = CODEC.decode(last[f"acme:{LIST}:{CANONICAL}".encode()])
    assert isinstance(moved, ContactState)
    assert (moved.active, moved.reason) == (False, "complaint")
    again = cluster.trackly("contacts", "migrate", "--account", "acme", "--yes")
    assert "0 contacts under old spellings" in again.stderr


def test_after_it_a_restore_reaches_the_contact(cluster: Cluster) -> None:
    cluster.trackly("contact", "restore", "acme", LIST, OLD)
    until(lambda: may_be_texted(cluster, CANONICAL))


def test_an_account_that_is_none_is_told(cluster: Cluster) -> None:
    assert cluster.trackly("contacts", "migrate", "--account", "nobody").returncode == 1
