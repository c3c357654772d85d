"""Clicks and their postbacks become conversions, in any order and whatever is killed in between."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bus.admin import Admin
from bus.clock import now_ms
from bus.producer import Producer
from schemas.ids import recipient_key
from schemas.records import (
    AccountConfig,
    ConversionEvent,
    Postback,
    RawCallback,
    RejectedRecord,
    TrackedLink,
)
from tests.cluster import CODEC, Cluster, running
from tests.patience import PATIENCE, http

pytestmark = pytest.mark.broker

NUMBER, LIST = "+15550300001", "+18005551234"
TOKEN = "postback-token-of-the-tests"
WAIT = 4.0
ACCOUNTS = [
    AccountConfig(id="acme", name="Acme"),
    AccountConfig(id="beta", name="Beta"),
    AccountConfig(id="strict", name="Strict", postbacks={"token": TOKEN, "token_previous": "old-token"}),
    AccountConfig(id="fenced", name="Fenced", trusted_postback_cidrs=("198.51.100.0/24",)),
]


@pytest.fixture(scope="module")
def cluster(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("postbacks")
    environment = {"TRACKLY_LINK_WAIT": str(WAIT)}
    with running(broker, directory, "pb", ACCOUNTS, "ingest", "streams-1", **environment) as cluster:
        yield cluster


def post(cluster: Cluster, query: str, path: str = "tune", address: str | None = None) -> httpx.Response:
    headers = {} if address is None else {"X-Forwarded-For": address}
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/postbacks/{path}?{query}"
    return http.get(url, headers=headers)


def link(click_id: str, account: str = "acme", number: str = NUMBER) -> TrackedLink:
    return TrackedLink(
        event_id=f"evt_{account}_{click_id}",
        account=account,
        click_id=click_id,
        message_id=f"message-of-{click_id}",
        provider="infobip",
        provider_message_id="ib-1",
        phone_number=number,
        list_number=LIST,
        url="https://example.com/offer",
        registered_at=now_ms(),
    )


def register(cluster: Cluster, *links: TrackedLink) -> None:
    async def write() -> None:
        producer = Producer(cluster.settings)
        await producer.start()
        topic = cluster.settings.catalogue["links"].name
        sent = [await producer.send(topic, CODEC.encode(each), key=each.click_id.encode()) for each in links]
        await asyncio.gather(*sent)
        await producer.stop()

    asyncio.run(write())


def conversions(cluster: Cluster, click_id: str) -> list[ConversionEvent]:
    found = [record for record in cluster.records("conversion") if isinstance(record, ConversionEvent)]
    return [event for event in found if event.click_id == click_id]


def wait_for(cluster: Cluster, click_id: str, count: int = 1) -> list[ConversionEvent]:
    deadline = time.monotonic() + PATIENCE
    while len(found := conversions(cluster, click_id)) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} conversions of {click_id}"
        time.sleep(0.2)
    return found


def wait_rejected(cluster: Cluster, marker: str) -> RejectedRecord:
    """Wait for the rejected record whose source or item contains a marker."""
    deadline = time.monotonic() + PATIENCE
    while True:
        for record in cluster.records("rejected"):
            if (
                isinstance(record, RejectedRecord)
                and marker.encode() in (record.source_value or b"") + (record.item or "").encode()
            ):
                return record
        assert time.monotonic() < deadline, f"nothing with {marker} was rejected"
        time.sleep(0.2)


def wait_in_table(cluster: Cluster, click_id: str, *texts: str) -> None:
    """Wait until the row of a click contains these texts."""
    deadline = time.monotonic() + PATIENCE
    while True:
        rows = {record.key: record.value or b"" for record in cluster.stored("table_clicks")}
        row = b"".join(value for key, value in rows.items() if click_id.encode() in key)
        if all(text.encode() in row for text in texts):
            return
        assert time.monotonic() < deadline, f"the row of {click_id} is {row!r}"
        time.sleep(0.1)


# Joined with the click


@pytest.mark.parametrize("order", ["link-first", "postback-first"])
def test_a_postback_joins_its_click_in_either_order(cluster: Cluster, order: str) -> None:
    click = f"join-{order}"
    steps = [lambda: register(cluster, link(click)), lambda: post(cluster, f"click_id={click}&payout=2.50000")]
    first, second = steps if order == "link-first" else reversed(steps)
    first()
    wait_in_table(cluster, click, f"message-of-{click}" if order == "link-first" else "2.50000")
    second()
    (event,) = wait_for(cluster, click)
    assert (event.account, event.message_id, event.phone_number, event.list_number) == (
        "acme",
        f"message-of-{click}",
        NUMBER,
        LIST,
    )
    assert (event.payout, event.currency, event.network, event.type) == ("2.50000", None, "tune", "conversion")


def test_conversions_are_keyed_like_everything_about_the_recipient(cluster: Cluster) -> None:
    register(cluster, link("keyed-1"))
    post(cluster, "click_id=keyed-1&payout=1")
    post(cluster, "click_id=keyed-2&payout=1&account=acme")
    wait_for(cluster, "keyed-1")
    wait_for(cluster, "keyed-2")
    stored = cluster.stored("conversion")
    keys = {CODEC.decode(record.value).click_id: record.key for record in stored}  # type: ignore[union-attr]
    assert keys["keyed-1"] == recipient_key("acme", NUMBER)
    assert keys["keyed-2"] == b"keyed-2"


def test_repetitions_are_one_conversion(cluster: Cluster) -> None:
    register(cluster, link("twice-1"))
    for _ in range(3):
        assert post(cluster, "click_id=twice-1&payout=2.50&type=sale").text == "OK"
        assert post(cluster, "click_id=twice-1&payout=3&conversion_id=x-1").text == "OK"
        assert post(cluster, "click_id=twice-1&payout=3&conversion_id=x-1&type=refund").text == "OK"
    post(cluster, "click_id=twice-1&payout=9&conversion_id=last")
    found = wait_for(cluster, "twice-1", count=4)
    assert Counter((event.type, event.payout) for event in found) == {
        ("sale", "2.50"): 1,
        ("conversion", "3"): 1,
        ("refund", "3"): 1,
        ("conversion", "9"): 1,
    }


# Whose postback it is


ORPHANS = [
    ("named-parameter", "tune", "account=acme"),
    ("named-path", "everflow/acme", ""),
    ("named-token", "tune", f"token={TOKEN}"),
    ("named-old-token", "tune", "token=old-token"),
    ("named-both", "tune/strict", f"token={TOKEN}&account=strict"),
]


@pytest.fixture(scope="module")
def orphans(cluster: Cluster) -> dict[str, int]:
    """How each was answered, and one that says nothing. They are posted together, so that they wait together."""
    posted = [*ORPHANS, ("unknown-1", "tune", "")]
    return {
        click: post(cluster, f"click_id={click}&payout=1&{query}", path).status_code for click, path, query in posted
    }


@pytest.mark.parametrize(("click", "path", "query"), ORPHANS)
def test_an_orphan_goes_out_after_its_wait(
    cluster: Cluster, orphans: dict[str, int], click: str, path: str, query: str
) -> None:
    assert orphans[click] == 200
    (event,) = wait_for(cluster, click)
    assert event.account == ("strict" if TOKEN in query or "old" in query else "acme")
    assert (event.message_id, event.phone_number) == (None, None)


def test_a_click_that_nobody_knows_is_rejected_after_its_wait(cluster: Cluster, orphans: dict[str, int]) -> None:
    assert orphans["unknown-1"] == 200
    record = wait_rejected(cluster, "unknown-1")
    assert (record.stage, record.reason, record.account, record.provider) == ("clicks", "unknown_click", None, "tune")
    assert record.source_topic == cluster.settings.catalogue["postbacks"].name
    assert CODEC.decode_as(Postback, record.source_value).click_id == "unknown-1"


def test_a_click_of_two_accounts_wants_an_account(cluster: Cluster) -> None:
    register(cluster, link("shared-1"), link("shared-1", "beta"))
    wait_in_table(cluster, "shared-1", '"acme"', '"beta"')
    post(cluster, "click_id=shared-1&payout=1")
    assert wait_rejected(cluster, "shared-1").reason == "ambiguous_account"
    post(cluster, "click_id=shared-1&payout=1&account=beta")
    assert [event.account for event in wait_for(cluster, "shared-1")] == ["beta"]


@pytest.mark.parametrize(
    ("click", "account", "query", "address", "is_authentic"),
    [
        ("proof-none", "strict", "", None, False),
        ("proof-token", "strict", f"token={TOKEN}", None, True),
        ("proof-address", "fenced", "", "198.51.100.7", True),
        ("proof-other-address", "fenced", "", "203.0.113.7", False),
        ("proof-spoofed", "fenced", "", "198.51.100.7, 203.0.113.7", False),
        ("proof-mapped", "fenced", "", "::ffff:198.51.100.7", True),
    ],
)
def test_a_postback_that_only_the_click_tells_must_suit_the_click_s_account(
    cluster: Cluster, click: str, account: str, query: str, address: str | None, is_authentic: bool
) -> None:
    register(cluster, link(click, account))
    assert post(cluster, f"click_id={click}&payout=1&{query}", address=address).status_code == 200
    if is_authentic:
        assert [event.account for event in wait_for(cluster, click)] == [account]
    else:
        assert wait_rejected(cluster, click).reason == "not_authentic"


# What a tester sees


@pytest.mark.parametrize(
    ("marker", "query"),
    [("no-click-1", "payout=2.50"), ("no-click-2", "click_id={aff_sub}&payout=1"), ("no-click-3", "click_id=&payout=")],
)
def test_a_postback_without_click_is_stored_and_answered_400_that_names_it(
    cluster: Cluster, marker: str, query: str
) -> None:
    answer = post(cluster, f"{query}&note={marker}")
    assert (answer.status_code, answer.json()["code"]) == (400, "missing_field")
    assert "click_id" in answer.json()["error"]
    record = wait_rejected(cluster, marker)
    assert (record.stage, record.reason, record.account, record.provider) == (
        "normalize",
        "missing_field",
        None,
        "tune",
    )
    assert "click_id" in record.error


def test_a_post_with_a_body_is_taken_too(cluster: Cluster) -> None:
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/postbacks/everflow"
    register(cluster, link("body-form"), link("body-json"))
    assert http.post(url, data={"click_id": "body-form", "payout": "$1,234.50"}).text == "OK"
    assert http.post(url, content=b'{"click_id": "body-json", "payout": 2.50000}').text == "OK"
    assert [(e.payout, e.currency) for e in wait_for(cluster, "body-form")] == [("1234.50", "USD")]
    assert [(e.payout, e.currency) for e in wait_for(cluster, "body-json")] == [("2.50000", None)]


def test_no_token_is_on_a_topic(cluster: Cluster) -> None:
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/postbacks/tune"
    answers = [
        post(cluster, f"click_id=secret-1&payout=1&token={TOKEN}"),
        post(cluster, f"payout=1&token={TOKEN}&note=secret-2"),
        http.post(url, json={"click_id": "secret-3", "token": TOKEN}),
        http.post(url, data={"click_id": "secret-4", "token": TOKEN}),
    ]
    assert [answer.status_code for answer in answers] == [200, 400, 200, 200]
    wait_rejected(cluster, "secret-2")
    for click in ("secret-1", "secret-3", "secret-4"):
        wait_for(cluster, click)
    raw = [record for record in cluster.records("raw") if isinstance(record, RawCallback)]
    assert {record.account for record in raw if "secret-" in repr(record)} == {"strict"}
    for topic in ("raw", "postbacks", "conversion", "rejected"):
        assert TOKEN not in repr(cluster.records(topic))


def test_a_worker_tells_how_conversions_were_settled(cluster: Cluster) -> None:
    register(cluster, link("told-1"))
    post(cluster, "click_id=told-1&payout=1")
    wait_for(cluster, "told-1")
    metrics = http.get(f"http://127.0.0.1:{cluster.services['streams-1'].health_port}/metrics").text
    assert 'trackly_streams_conversions_total{result="joined"}' in metrics


# Whatever ends in between


def test_a_postback_that_waits_outlives_the_worker(broker: str, tmp_path: Path) -> None:
    with running(broker, tmp_path, "pbr", ACCOUNTS, "ingest", "streams-1", TRACKLY_LINK_WAIT="12") as cluster:
        post(cluster, "click_id=outlives-1&payout=1&account=acme")
        post(cluster, "click_id=outlives-2&payout=1&account=acme")
        post(cluster, "click_id=outlives-3&payout=1")
        for click in ("outlives-1", "outlives-2", "outlives-3"):
            wait_in_table(cluster, click, click)
        cluster.kill("streams-1")
        assert not cluster.records("conversion")
        # Of outlives-1 and -3 no record comes any more: only the clock moves them.
        cluster.start("streams-1")
        cluster.wait_ready()
        register(cluster, link("outlives-2"))
        (joined,) = wait_for(cluster, "outlives-2")
        assert joined.message_id == "message-of-outlives-2"
        (orphan,) = wait_for(cluster, "outlives-1")
        assert orphan.message_id is None
        assert wait_rejected(cluster, "outlives-3").reason == "unknown_click"


@pytest.mark.slow
def test_workers_killed_in_turn_give_every_conversion_once(broker: str, tmp_path: Path) -> None:
    services = ("ingest", "streams-1", "streams-2")
    with running(broker, tmp_path, "pbk", ACCOUNTS, *services, TRACKLY_LINK_WAIT="60") as cluster:
        number = 0
        for round_number in range(4):
            victim = f"streams-{round_number % 2 + 1}"
            clicks = [f"kill-{number + n}" for n in range(60)]
            number += len(clicks)
            register(cluster, *(link(click) for click in clicks[::2]))
            url = f"http://127.0.0.1:{cluster.ingest_port}/api/postbacks/tune"
            with httpx.Client(timeout=PATIENCE) as client:
                for n, click in enumerate(clicks):
                    if n == 30:
                        cluster.kill(victim)
                    for _ in range(1 + n % 2):
                        assert client.get(url, params={"click_id": click, "payout": "2.50"}).text == "OK"
                    client.get(url, params={"click_id": click, "payout": "1", "conversion_id": f"x-{click}"})
            register(cluster, *(link(click) for click in clicks[1::2]))
            cluster.start(victim)
            cluster.wait_ready()
        deadline = time.monotonic() + PATIENCE
        while True:
            events = {e.event_id: e for e in cluster.records("conversion") if isinstance(e, ConversionEvent)}
            if len(events) >= 2 * number:
                break
            assert time.monotonic() < deadline, f"{len(events)} of {2 * number} conversions"
            time.sleep(0.2)
        with Admin(cluster.settings, PATIENCE) as admin:
            while left := sum(admin.lag(cluster.settings.group("streams")).values()):
                assert time.monotonic() < deadline + 60, f"{left} records are not read"
                time.sleep(0.2)
        events = {e.event_id: e for e in cluster.records("conversion") if isinstance(e, ConversionEvent)}
        assert Counter((e.click_id, e.payout) for e in events.values()) == {
            (f"kill-{n}", payout): 1 for n in range(number) for payout in ("2.50", "1")
        }
        assert all(event.message_id == f"message-of-{event.click_id}" for event in events.values())
        assert not cluster.records("rejected")
