"""Whatever a worker did not finish is read again, however it ended; only what cannot be processed is set aside."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import httpx
import pytest

from bus.admin import Admin
from bus.clock import now_ms
from bus.producer import Producer
from bus.settings import BusSettings
from schemas.records import (
    AccountConfig,
    ConversionEvent,
    DeliveryEvent,
    ListConfig,
    Postback,
    RawCallback,
    Receipt,
    Record,
    RejectedRecord,
    UnsubscribeEvent,
)
from tests.cluster import CODEC, Cluster
from tests.patience import PATIENCE, http, until

LIST = "+18005551234"
ACCOUNT = [AccountConfig(id="acme", name="Acme"), ListConfig(account="acme", number=LIST)]

FAULTY = """
import sys
from bus.worker.batch import Batch
from bus.logs import configure_logging
from bus.worker.run import run_worker
from sinks.webhooks.sink import WebhookSink
agent, kind = sys.argv[1:]
errors = {"a bug": RuntimeError("a bug"), "an exit": SystemExit(0), "no memory": MemoryError()}

def fail_once():
    if errors:
        print("FAILED", flush=True)
        error = errors[kind]
        errors.clear()
        raise error

iterate = Batch.__iter__
def faulty(batch):
    if batch._stage == agent and batch.sources:
        fail_once()
    return iterate(batch)
Batch.__iter__ = faulty

take = WebhookSink._take
async def faulty_take(sink, sources):
    fail_once()
    await take(sink, sources)
WebhookSink._take = faulty_take

configure_logging()
if agent == "webhooks":
    from sinks.app import create_app
    from sinks.settings import SinksSettings as Settings
else:
    from streams.app import create_app
    from streams.settings import StreamsSettings as Settings
sys.exit(run_worker(create_app(Settings())))
"""


def now() -> int:
    return now_ms()


def body(n: int, **changes: object) -> bytes:
    status = {"groupId": 3, "groupName": "DELIVERED", "id": 5, "name": "DELIVERED_TO_HANDSET"}
    item = {"messageId": f"m{n}", "to": f"1555000{n:04d}", "sender": LIST[1:], "status": status, **changes}
    return json.dumps({"results": [item]}).encode()


def raw(n: int) -> RawCallback:
    return RawCallback(
        event_id=f"evt_raw{n}", provider="infobip", account="acme", method="POST", path="/", query="", headers={},
        content_type="application/json", body=body(n), remote_ip="127.0.0.1", received_at=now(),
    )  # fmt: skip


def receipt(n: int) -> Receipt:
    return Receipt(
        event_id=f"evt_r{n}", account="acme", provider="infobip", provider_message_id=f"m{n}", to=f"+1555000{n:04d}",
        from_=LIST, status="delivered", status_detail="DELIVERED_TO_HANDSET", status_class="delivered",
        provider_status="DELIVERED_TO_HANDSET", final=True, received_at=now(), raw="{}",
    )  # fmt: skip


def postback(n: int) -> Postback:
    return Postback(
        event_id=f"evt_p{n}", network="tune", account="acme", click_id=f"c{n}", type="sale", payout="1.00",
        currency="USD", external_id=f"x{n}", goal=None, parameters={}, remote_ip=None, received_at=now(),
    )  # fmt: skip


def delivered(n: int) -> DeliveryEvent:
    return DeliveryEvent(
        event_id=f"evt_d{n}", account="acme", message_id=f"m{n}", provider_message_id=f"m{n}", provider="infobip",
        to=f"+1555000{n:04d}", list_number=LIST, status="delivered", status_detail="DELIVERED_TO_HANDSET",
        status_class="delivered", provider_code=None, final=True, timestamp=now(),
    )  # fmt: skip


AGENTS: dict[str, tuple[str, Callable[[int], Record], str, type[Record] | None]] = {
    "normalize": ("raw", raw, "receipts", Receipt),
    "contacts": ("receipts", receipt, "delivery", DeliveryEvent),
    "clicks": ("postbacks", postback, "conversion", ConversionEvent),
    "webhooks": ("delivery", delivered, "", None),
}
"""Every agent: a topic that it reads, its records, and what comes of each, where."""


@pytest.fixture
def settings(bus_settings: BusSettings) -> BusSettings:
    return bus_settings.model_copy(update={"partitions": 1})


@pytest.fixture
def cluster(settings: BusSettings, tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(settings, tmp_path, TRACKLY_LINK_WAIT="0", TRACKLY_STREAMS_PORT="0") as cluster:
        asyncio.run(cluster.configure(list(ACCOUNT)))
        yield cluster


def write(settings: BusSettings, topic: str, values: Iterable[bytes]) -> None:
    async def send() -> None:
        producer = Producer(settings)
        await producer.start()
        name = settings.catalogue[topic].name
        await asyncio.gather(*[await producer.send(name, value, key=b"key", partition=0) for value in values])
        await producer.stop()

    asyncio.run(send())


def committed(settings: BusSettings, topic: str, group: str) -> int:
    with Admin(settings, PATIENCE) as admin:
        return admin.group_offsets(settings.group(group)).get((settings.catalogue[topic].name, 0), 0)


@pytest.mark.parametrize(
    ("agent", "kind"), [*((agent, "a bug") for agent in AGENTS), ("contacts", "an exit"), ("normalize", "no memory")]
)
def test_an_agent_that_fails_ends_its_worker_and_the_next_one_does_all_of_its_work(
    cluster: Cluster, settings: BusSettings, agent: str, kind: str
) -> None:
    topic, record, out, outcome = AGENTS[agent]
    service = "sinks" if agent == "webhooks" else "streams"
    write(settings, topic, [CODEC.encode(record(n)) for n in range(10)])
    command = [sys.executable, "-c", FAULTY, agent, kind]
    with subprocess.Popen(command, env=cluster.environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "FAILED\n"
            # Faust starts a failed agent again at once: it would find these.
            write(settings, topic, [CODEC.encode(record(n)) for n in range(10, 20)])
            assert process.wait(PATIENCE) == 1
        finally:
            process.kill()
    assert committed(settings, topic, service) == 0
    cluster.start(f"{service}-1")
    until(lambda: committed(settings, topic, service) == 20, "the records are not done")
    if outcome is not None:
        done = [found for found in cluster.records(out) if isinstance(found, outcome)]
        assert len({found.event_id for found in done}) == 20  # type: ignore[attr-defined]
    assert cluster.records("rejected") == []


def test_a_run_of_junk_is_rejected_and_costs_no_record_beside_it(cluster: Cluster, settings: BusSettings) -> None:
    junk = [b"\x00\x00\x00\xff\xffjunk%d" % n for n in range(150)]
    write(settings, "raw", [*(CODEC.encode(raw(n)) for n in range(99)), *junk])
    write(settings, "raw", [CODEC.encode(raw(n)) for n in range(1_000, 1_451)])
    cluster.start("streams-1")
    until(lambda: committed(settings, "raw", "streams") == 700, "the callbacks are not done")
    assert len([found for found in cluster.records("receipts") if isinstance(found, Receipt)]) == 550
    rejected = [found for found in cluster.records("rejected") if isinstance(found, RejectedRecord)]
    assert [found.reason for found in rejected] == ["not_decodable"] * 150


def test_more_junk_than_that_ends_the_worker_and_stays_where_it_is(cluster: Cluster, settings: BusSettings) -> None:
    write(settings, "raw", [b"\x00\x00\x00\xff\xffjunk%d" % n for n in range(400)])
    process = subprocess.run(cluster.command("streams"), env=cluster.environment, timeout=PATIENCE, capture_output=True)
    assert process.returncode == 1
    assert b"fix the cause before you restart" in process.stderr + process.stdout
    assert committed(settings, "raw", "streams") == 0
    assert cluster.records("rejected") == []


def test_an_item_of_any_size_stops_nobody(cluster: Cluster) -> None:
    cluster.start("ingest", "streams-1")
    cluster.wait_ready()
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/webhook-feedbacks/infobip?account=acme"
    odd = [
        body(10, callbackData="x" * 1_500_000),
        body(11, status={"groupId": 2, "groupName": "UNDELIVERABLE", "id": 4, "name": "X" * 1_200_000}),
        body(12, messageId="m12" + "y" * 2_000_000),
        body(13, doneAt="9999-12-31T23:59:59-1200", price={"pricePerMessage": "1" * 1_000_000, "currency": "EUR"}),
        json.dumps({"results": [{"from": "15550000014", "to": LIST[1:], "text": "STOP" + " " * 3_000_000}]}).encode(),
        json.dumps({"results": [{"from": "z" * 3_000_000, "to": LIST[1:], "text": "STOP"}]}).encode(),
    ]
    with httpx.Client(timeout=PATIENCE) as client:
        for content in (body(1), *odd, body(20)):
            assert client.post(url, content=content).status_code == 200
    told = cluster.wait_for("delivery", DeliveryEvent, "m20")
    told = [event for event in cluster.records("delivery") if isinstance(event, DeliveryEvent)]
    assert {event.to for event in told} == {f"+1555000{n:04d}" for n in (1, 10, 11, 12, 13, 20)}
    cluster.wait_for("unsubscribe", UnsubscribeEvent, "+15550000014")
    (refused,) = [found for found in cluster.records("rejected") if isinstance(found, RejectedRecord)]
    assert (refused.reason, refused.error) == ("too_large", "from has more than 255 characters")
    cluster.stop("streams-1")


def test_a_damaged_table_is_read_anew_and_nobody_who_was_removed_comes_back(cluster: Cluster, tmp_path: Path) -> None:
    cluster.start("ingest", "streams-1")
    cluster.wait_ready()
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/webhook-feedbacks/infobip?account=acme"
    stop = {"messageId": "i1", "from": "15550000001", "to": LIST[1:], "text": "STOP"}
    http.post(url, content=json.dumps({"results": [stop]}).encode())
    cluster.wait_for("unsubscribe", UnsubscribeEvent, "+15550000001")
    cluster.stop("streams-1")
    store = tmp_path / "streams" / "streams-1" / "contacts" / "0"
    (store / "CURRENT").write_bytes(b"\0" * 10)
    cluster.start("streams-1")
    cluster.wait_ready()
    http.post(url, content=json.dumps({"results": [{**stop, "messageId": "i2"}]}).encode())
    http.post(url, content=body(2))
    cluster.wait_for("delivery", DeliveryEvent, "m2")
    told = [event for event in cluster.records("unsubscribe") if isinstance(event, UnsubscribeEvent)]
    assert len(told) == 1, "a contact that is out already is told once"
    assert store.with_name("0.damaged").is_dir()
    assert "is damaged and is being restored from Kafka" in cluster.services["streams-1"].last_lines(200)
