"""The past of topics through `trackly tap`: time ranges, counts, files, and resuming."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet
import pytest
from msgspec.structs import replace

from bus.admin import Admin
from bus.producer import Producer
from bus.settings import BusSettings
from providers import PROVIDERS
from schemas.cloudevents import event_headers, iso_time
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.ids import recipient_key
from schemas.pseudonyms import Pseudonyms
from schemas.records import DeliveryEvent, RawCallback, Receipt, Record
from schemas.samples import sample
from tests.cluster import made_anew
from tests.commands import run_trackly
from tests.patience import PATIENCE

pytestmark = pytest.mark.broker

Tap = Callable[..., subprocess.CompletedProcess[str]]
SECRET = "a secret of the tests"
STATUSES = ("delivered", "delivered", "expired")


def delivery(number: int) -> DeliveryEvent:
    event = sample("DeliveryEvent")
    assert isinstance(event, DeliveryEvent)
    return replace(event, event_id=f"evt_{number}", to=f"+1555{number:07d}", status=STATUSES[number % len(STATUSES)])


async def _write(settings: BusSettings, numbers: range) -> list[int]:
    codec, producer = Codec(FolderRegistry()), Producer(settings)
    await producer.start()
    times = []
    for number in numbers:
        event = delivery(number)
        sent = await producer.send(
            settings.catalogue["delivery"].name,
            codec.encode(event),
            key=recipient_key("acme", str(event.to)),
            headers=event_headers(event, event.event_id, event.timestamp),
        )
        times.append((await sent).timestamp)
    await producer.stop()
    return times


async def _send(settings: BusSettings, topic: str, *records: Record) -> None:
    codec, producer = Codec(FolderRegistry()), Producer(settings)
    await producer.start()
    for record in records:
        await (await producer.send(settings.catalogue[topic].name, codec.encode(record), key=b"k"))
    await producer.stop()


@pytest.fixture
def write(bus_settings: BusSettings) -> Callable[[range], list[int]]:
    """Write delivery events for these numbers to four partitions; returns the times of writing."""
    with Admin(bus_settings, PATIENCE) as admin:
        admin.apply(bus_settings.catalogue)
    return lambda numbers: asyncio.run(_write(bus_settings, numbers))


@pytest.fixture
def tap(bus_settings: BusSettings, environment: dict[str, str]) -> Tap:
    """Runs `trackly tap` over the delivery events to its end."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_trackly(("tap", bus_settings.catalogue["delivery"].name, *arguments), environment)

    return run


def ids(done: subprocess.CompletedProcess[str]) -> set[str]:
    assert (done.returncode, done.stderr) == (0, "")
    return {json.loads(line)["value"]["event_id"] for line in done.stdout.splitlines()}


def test_a_stretch_of_time_begins_and_ends_where_it_is_told(tap: Tap, write: Callable[[range], list[int]]) -> None:
    write(range(3))
    (middle, *_) = write(range(3, 5))
    (after, *_) = write(range(5, 7))
    begin, end = (iso_time(millis) for millis in (middle, after))
    assert ids(tap("--from", begin, "--to", end)) == {"evt_3", "evt_4"}
    assert ids(tap("--from", "beginning", "--to", "end")) == {f"evt_{n}" for n in range(7)}
    assert ids(tap("--from", "1h", "--no-follow", "--where", "status!=delivered")) == {"evt_2", "evt_5"}
    assert ids(tap("--from", "beginning", "--to", "0")) == set()


def test_counts_are_a_table_or_json(tap: Tap, write: Callable[[range], list[int]]) -> None:
    write(range(30))
    done = tap("--from", "beginning", "--count-by", "status", "--count-by", "final", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"status": "delivered", "final": True, "count": 20},
        {"status": "expired", "final": True, "count": 10},
    ]
    table = tap("--from", "beginning", "--count-by", "status", "--where", "to~0001$").stdout.splitlines()
    assert [line.split() for line in table] == [["status", "count"], ["delivered", "1"]]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_an_export_has_every_record_once(
    form: str, tap: Tap, write: Callable[[range], list[int]], tmp_path: Path
) -> None:
    write(range(50))
    out = tmp_path / f"events.{form}"
    done = tap("--from", "beginning", "--out", str(out))
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"50 records written to {out}.\n"
    if form == "parquet":
        assert sorted(pyarrow.parquet.read_table(out)["event_id"].to_pylist()) == sorted(f"evt_{n}" for n in range(50))
    else:
        assert len(out.read_text("utf-8").splitlines()) == 50 + (form == "csv")
    again = tap("--from", "beginning", "--out", str(out))
    assert again.returncode == 1
    assert "already exists" in again.stderr


def test_a_later_run_writes_only_what_is_new(tap: Tap, write: Callable[[range], list[int]], tmp_path: Path) -> None:
    out, state = tmp_path / "events.parquet", tmp_path / "position.json"
    arguments = ["--from", "beginning", "--out", str(out), "--state", str(state)]
    write(range(10))
    assert "10 records written" in tap(*arguments).stderr
    write(range(10, 14))
    assert "4 records written" in tap(*arguments).stderr
    assert "0 records written to no file" in tap(*arguments).stderr
    second = pyarrow.parquet.read_table(tmp_path / "events-2.parquet")
    assert sorted(second["event_id"].to_pylist()) == ["evt_10", "evt_11", "evt_12", "evt_13"]
    other = tap(*arguments, "--where", "status=expired")
    assert (other.returncode, "a different query" in other.stderr) == (1, True)


def test_printing_goes_on_where_it_was_left(tap: Tap, write: Callable[[range], list[int]], tmp_path: Path) -> None:
    arguments = ["--from", "beginning", "--no-follow", "--state", str(tmp_path / "position.json")]
    write(range(3))
    assert ids(tap(*arguments)) == {"evt_0", "evt_1", "evt_2"}
    write(range(3, 5))
    assert ids(tap(*arguments)) == {"evt_3", "evt_4"}


def test_a_position_is_not_taken_for_one_in_a_topic_that_was_made_anew(
    bus_settings: BusSettings, tap: Tap, write: Callable[[range], list[int]], tmp_path: Path
) -> None:
    arguments = ["--from", "beginning", "--no-follow", "--state", str(tmp_path / "position.json")]
    write(range(3))
    assert tap(*arguments).returncode == 0
    made_anew(bus_settings, "delivery")
    write(range(10, 20))
    refused = tap(*arguments)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "was deleted and recreated" in refused.stderr
    (tmp_path / "position.json").unlink()
    assert len(ids(tap(*arguments))) == 10


def test_an_export_that_follows_and_is_interrupted_is_whole_and_goes_on(
    bus_settings: BusSettings,
    environment: dict[str, str],
    tap: Tap,
    write: Callable[[range], list[int]],
    tmp_path: Path,
) -> None:
    out, state = tmp_path / "events.jsonl", tmp_path / "position.json"
    arguments = ["--from", "beginning", "--out", str(out), "--state", str(state)]
    write(range(3))
    command = [sys.executable, "-m", "trackly", "tap", bus_settings.catalogue["delivery"].name, *arguments, "--follow"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as following:
        # The first position is saved after some seconds, when what was there has been written.
        deadline = time.monotonic() + PATIENCE
        while not state.exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        following.send_signal(signal.SIGINT)
        assert following.wait(PATIENCE) == 0
    write(range(3, 5))
    assert tap(*arguments).returncode == 0
    written = [json.loads(line)["value"]["event_id"] for line in out.read_text("utf-8").splitlines()]
    assert sorted(written) == [f"evt_{n}" for n in range(5)]


def test_what_cannot_be_decoded_is_told_and_does_not_end_an_export(
    tap: Tap, write: Callable[[range], list[int]], bus_settings: BusSettings, tmp_path: Path
) -> None:
    write(range(2))

    async def junk() -> None:
        producer = Producer(bus_settings)
        await producer.start()
        await (await producer.send(bus_settings.catalogue["delivery"].name, b"junk", key=b"k"))
        await producer.stop()

    asyncio.run(junk())
    done = tap("--from", "beginning", "--out", str(tmp_path / "x.csv"))
    assert done.stderr.splitlines()[0].startswith("2 records written")
    assert "1 records could not be decoded" in done.stderr


# compare


def test_compare_shows_what_today_s_rules_would_change(bus_settings: BusSettings, environment: dict[str, str]) -> None:
    raw = sample("RawCallback")
    assert isinstance(raw, RawCallback)
    (receipt,) = PROVIDERS["infobip"].read(raw)
    assert isinstance(receipt, Receipt)
    with Admin(bus_settings, PATIENCE) as admin:
        admin.apply(bus_settings.catalogue)
    asyncio.run(_send(bus_settings, "raw", raw, replace(raw, event_id="evt_other", account="other")))
    asyncio.run(_send(bus_settings, "receipts", replace(receipt, status="undeliverable"), sample("Receipt")))
    done = run_trackly(("compare", "--account", "acme", "--json"), environment)
    assert (done.returncode, json.loads(done.stdout)) == (
        0,
        {
            "then": "Receipt",
            "now": "Receipt",
            "fields": ["status"],
            "count": 1,
            "examples": [{"event_id": receipt.event_id, "fields": {"status": ["undeliverable", "delivered"]}}],
        },
    )
    topic = bus_settings.catalogue["comparisons"].name
    summary, where = done.stderr.splitlines()
    assert summary == "1 callbacks, 0 items unchanged, 1 that differ."
    assert where.startswith(f"1 items are on {topic}: trackly tap {topic} --from beginning --where run=")
    tapped = run_trackly((*where.split("trackly ")[1].split(), "--no-follow"), environment)
    (item,) = [json.loads(line)["value"] for line in tapped.stdout.splitlines()]
    assert (item["event_id"], item["verdict"], item["fields"]) == (receipt.event_id, "changed", ["status"])
    assert [json.loads(item[side])["status"] for side in ("before", "after")] == ["undeliverable", "delivered"]


def test_compare_writes_nothing_where_it_is_told_so(bus_settings: BusSettings, environment: dict[str, str]) -> None:
    with Admin(bus_settings, PATIENCE) as admin:
        admin.apply(bus_settings.catalogue)
    asyncio.run(_send(bus_settings, "raw", sample("RawCallback")))
    done = run_trackly(("compare", "--no-topic"), environment)
    assert (done.returncode, done.stderr) == (0, "1 callbacks, 0 items unchanged, 1 that differ.\n")
    with Admin(bus_settings, PATIENCE) as admin:
        assert sum(admin.end_offsets(bus_settings.catalogue["comparisons"].name).values()) == 0


# mirror


def test_mirror_repeats_events_without_numbers(
    bus_settings: BusSettings, environment: dict[str, str], write: Callable[[range], list[int]]
) -> None:
    write(range(5))
    environment["TRACKLY_PSEUDONYM_KEY"] = SECRET
    topic = bus_settings.catalogue["delivery_anon"].name
    with subprocess.Popen([sys.executable, "-m", "trackly", "mirror"], env=environment) as mirror:
        done = run_trackly(("tap", topic, "--from", "beginning", "--max", "5", "--timeout", "60"), environment)
        mirror.send_signal(signal.SIGTERM)
        assert mirror.wait(PATIENCE) == 0
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    expected = {f"evt_{n}": Pseudonyms(SECRET).of("acme", f"+1555{n:07d}") for n in range(5)}
    assert {line["value"]["event_id"]: line["value"]["to"] for line in lines} == expected
    assert {line["key"] for line in lines} == {f"acme:{pseudonym}" for pseudonym in expected.values()}
    assert "+1555" not in done.stdout


def test_mirror_needs_its_key(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "trackly", "mirror"], env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert (done.returncode, done.stderr) == (
        1,
        "TRACKLY_PSEUDONYM_KEY is not set: it turns numbers into pseudonyms.\n",
    )
