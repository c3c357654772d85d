"""A number is erased: no table, no state and no new event holds it, and a removed contact stays removed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from bus.settings import BusSettings
from schemas.pseudonyms import Pseudonyms
from schemas.records import AccountConfig, ContactState, ListConfig
from tests.cluster import CODEC, Cluster

pytestmark = pytest.mark.broker

SECRET = "a secret of the tests"
LIST, NUMBER = "+18005550001", "+15551230077"
PSEUDONYM = Pseudonyms(SECRET).of("acme", NUMBER)


@pytest.fixture
async def cluster(bus_settings: BusSettings, tmp_path: Path) -> Cluster:
    cluster = Cluster(bus_settings, tmp_path, TRACKLY_PSEUDONYM_KEY=SECRET)
    with cluster:
        await cluster.configure([AccountConfig(id="acme", name="Acme"), ListConfig(account="acme", number=LIST)])
    return cluster


@pytest.fixture
def running(cluster: Cluster) -> Iterator[Cluster]:
    with cluster:
        cluster.start("ingest", "streams-1")
        cluster.wait_ready()
        yield cluster


def report_spam(cluster: Cluster, message: str) -> None:
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/webhook-feedbacks/infobip?account=acme"
    status = {"groupId": 5, "groupName": "REJECTED", "id": 51, "name": "REJECTED_SPAM"}
    item = {"messageId": message, "to": NUMBER.lstrip("+"), "from": LIST.lstrip("+"), "status": status}
    assert httpx.post(url, json={"results": [item]}).status_code == 200


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def newest(cluster: Cluster, topic: str) -> dict[str, bytes | None]:
    """The newest value of each key of a topic, as a reader of a compacted topic keeps it."""
    return {record.key.decode(): record.value for record in cluster.stored(topic)}


def alive(cluster: Cluster, topic: str) -> dict[str, bytes]:
    return {key: value for key, value in newest(cluster, topic).items() if value is not None}


def test_an_erased_contact_is_in_no_table_and_stays_removed_under_a_pseudonym(running: Cluster) -> None:
    report_spam(running, "m-1")
    wait_for(lambda: f"acme:{LIST}:{NUMBER}" in alive(running, "contacts"))

    done = running.trackly("erase", "acme", NUMBER, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    kept = {line["topic"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert kept[running.settings.catalogue["delivery"].name]["why"] == "retention"

    states = alive(running, "contacts")
    assert list(states) == [f"acme:{LIST}:{PSEUDONYM}"]
    assert list(alive(running, "table_contacts")) == [f"acme:{LIST}:{PSEUDONYM}"]
    (state,) = [s for s in map(CODEC.decode, states.values()) if isinstance(s, ContactState)]
    assert (state.active, state.reason, state.phone_number) == (False, "complaint", PSEUDONYM)

    # The number turns up again: what was left of it says that it was removed, also after a restart.
    running.stop("streams-1")
    running.start("streams-1")
    running.wait_ready()
    before = {event.event_id for event in running.records("unsubscribe")}  # type: ignore[union-attr]
    report_spam(running, "m-2")
    wait_for(lambda: {e.message_id for e in running.records("delivery")} == {"m-1", "m-2"})  # type: ignore[union-attr]
    assert {event.event_id for event in running.records("unsubscribe")} == before  # type: ignore[union-attr]


def test_an_unknown_account_and_a_missing_answer_change_nothing(cluster: Cluster) -> None:
    unknown = cluster.trackly("erase", "nobody", NUMBER, "--yes")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "There is no account 'nobody'" in unknown.stderr
    unanswered = cluster.trackly("erase", "acme", NUMBER)
    assert unanswered.returncode == 1
    without = cluster.trackly("erase", "acme", NUMBER, "--yes", TRACKLY_PSEUDONYM_KEY="")
    assert (without.returncode, "TRACKLY_PSEUDONYM_KEY is not set" in without.stderr) == (1, True)
    assert newest(cluster, "commands") == {}
