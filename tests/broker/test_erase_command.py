"""A number is erased: no table, state, or new event contains it, and a removed contact stays removed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from bus.settings import BusSettings
from bus.tables.store import RocksStore
from schemas.ids import recipient_key
from schemas.pseudonyms import Pseudonyms
from schemas.records import AccountConfig, ContactState, ConversionEvent, Link, ListConfig, MessageSent
from schemas.samples import sample
from tests.cluster import CODEC, Cluster
from tests.patience import PATIENCE, http

pytestmark = pytest.mark.broker

SECRET = "a secret of the tests"
LIST, NUMBER = "+18005550001", "+15551230077"
PSEUDONYM = Pseudonyms(SECRET).of("acme", NUMBER)


@pytest.fixture
async def cluster(bus_settings: BusSettings, tmp_path: Path) -> Cluster:
    cluster = Cluster(bus_settings, tmp_path, TRACKLY_PSEUDONYM_KEY=SECRET, TRACKLY_LINK_WAIT="1")
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
    assert http.post(url, json={"results": [item]}).status_code == 200


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def newest(cluster: Cluster, topic: str) -> dict[str, bytes | None]:
    """Return the newest value of each key of a topic, as a reader of a compacted topic keeps it."""
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
    until = datetime.fromisoformat(kept[running.settings.catalogue["contacts"].name]["until"])
    assert until - datetime.now(UTC) < timedelta(days=17)

    # In the log itself it stays until Kafka has cleaned it.
    left = running.trackly("erase", "acme", NUMBER, "--verify")
    assert (left.returncode, "Kafka still has the number" in left.stderr) == (1, True)
    contacts = running.settings.catalogue["contacts"].name
    assert any(line.split()[0] == contacts for line in left.stdout.splitlines())
    gone = running.trackly("erase", "acme", "+15551239999", "--verify")
    assert (gone.returncode, gone.stdout.strip()) == (0, "No compacted topic holds +15551239999 of acme.")

    states = alive(running, "contacts")
    assert list(states) == [f"acme:{LIST}:{PSEUDONYM}"]
    # On no list stands when the number was erased.
    assert set(alive(running, "table_contacts")) == {f"acme:{LIST}:{PSEUDONYM}", f"acme::{PSEUDONYM}"}
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


def test_afterwards_no_table_and_nothing_that_is_written_holds_the_number(running: Cluster) -> None:
    """Registered messages, their links, and waiting records are erased too; only orders, and deletions by key, name
    it.
    """
    message = sample("MessageSent")
    assert isinstance(message, MessageSent)
    link = Link("click-1", "https://acme.example")
    message = replace(
        message,
        account="acme",
        provider="infobip",
        provider_message_id="p-1",
        to=NUMBER,
        list_number=LIST,
        links=(link,),
    )
    running.send("messages", message, recipient_key("acme", NUMBER))
    report_spam(running, "p-1")
    wait_for(lambda: b"click:click-1" in {record.key for record in running.stored("table_clicks")})
    wait_for(lambda: f"acme:{LIST}:{NUMBER}" in alive(running, "contacts"))
    catalogue = running.settings.catalogue
    before = {topic: {(r.partition, r.offset) for r in running.stored(topic)} for topic in catalogue}

    assert running.trackly("erase", "acme", NUMBER, "--yes").returncode == 0
    for table in ("table_contacts", "table_messages", "table_clicks"):
        holding = [key for key, value in alive(running, table).items() if NUMBER in f"{key}{value!r}"]
        assert holding == [], table
    postback = f"http://127.0.0.1:{running.ingest_port}/api/postbacks/tune?account=acme&click_id=click-1&payout=2.5"
    assert http.get(postback).status_code == 200
    running.wait_for("conversion", ConversionEvent, "click-1", timeout=PATIENCE)

    running.stop("streams-1")  # its stores can be read when nobody has them open
    stores = [*Path(running.environment["TRACKLY_DATA_DIR"]).glob("streams/streams-1/*/*")]
    assert {store.parent.name for store in stores} >= {"contacts", "messages", "clicks"}
    for store in map(RocksStore, stores):
        assert [key for key, value in store.own_items(b"") if NUMBER.encode() in key + value] == []
        store.close()
    orders = ("commands", "links")
    written = [
        (topic, record.value)
        for topic in catalogue
        if topic not in orders
        for record in running.stored(topic)
        if (record.partition, record.offset) not in before[topic]
    ]
    assert {topic for topic, _ in written} >= {"table_messages", "table_clicks", "conversion"}
    assert [topic for topic, value in written if value is not None and NUMBER.encode() in value] == []


def test_nothing_is_erased_where_the_list_of_what_stays_cannot_be_told(cluster: Cluster) -> None:
    """The delay topics of another retry schedule do not exist."""
    refused = cluster.trackly("erase", "acme", NUMBER, "--yes", TRACKLY_RETRY_SCHEDULE="3m")
    assert (refused.returncode, "trackly topics apply" in refused.stderr) == (1, True)
    assert newest(cluster, "commands") == {}


def test_an_unknown_account_and_a_missing_answer_change_nothing(cluster: Cluster) -> None:
    unknown = cluster.trackly("erase", "nobody", NUMBER, "--yes")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "There is no account 'nobody'" in unknown.stderr
    unanswered = cluster.trackly("erase", "acme", NUMBER)
    assert (unanswered.returncode, "pass --yes" in unanswered.stderr) == (2, True)
    without = cluster.trackly("erase", "acme", NUMBER, "--yes", TRACKLY_PSEUDONYM_KEY="")
    assert (without.returncode, "TRACKLY_PSEUDONYM_KEY is not set" in without.stderr) == (1, True)
    assert newest(cluster, "commands") == {}
