"""The recipes of docs/recipes run unchanged against a real broker and our registry."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

import duckdb
import pytest
from msgspec.structs import replace

from bus.admin import Admin
from bus.producer import Producer
from bus.settings import BusSettings
from registry.app import create_app
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.records import ContactState, DeliveryEvent, Record
from schemas.samples import example, sample
from schemas.topics import Catalogue
from tests.http_servers import served
from tests.outside.readers.clients import POLARS, NotInstalled, installed
from tests.patience import PATIENCE

pytestmark = pytest.mark.broker

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"


def delivery(number: int, status: str = "delivered", detail: str = "DELIVERED_TO_HANDSET") -> DeliveryEvent:
    event = sample("DeliveryEvent")
    assert isinstance(event, DeliveryEvent)
    names = {"message_id": f"m-{number}", "provider_message_id": f"p-{number}"}
    return replace(event, event_id=f"evt_{number}", **names, status=status, status_detail=detail)


def corrected(number: int) -> list[DeliveryEvent]:
    """Two final states of one message with the same time. Between them, the sender registered it under its own ID."""
    first = replace(delivery(number), message_id=f"p-{number}")
    return [first, replace(delivery(number, "undeliverable", "REJECTED_OPERATOR"), event_id=f"evt_{number}b")]


def contact(number: str, active: bool) -> ContactState:
    state = sample("ContactState")
    assert isinstance(state, ContactState)
    return replace(state, contact=f"acme:+18005551234:{number}", phone_number=number, active=active)


async def write(
    settings: BusSettings, topic: str, records: list[tuple[bytes, Record | None]], versions: Sequence[int] = ()
) -> None:
    codec, producer = Codec(FolderRegistry()), Producer(settings)
    await producer.start()
    for (key, record), version in zip_longest(records, versions):
        value = None if record is None else codec.encode(record)
        headers = [] if version is None else [("version", str(version).encode())]
        await (await producer.send(settings.catalogue[topic].name, value, key=key, headers=headers))
    await producer.stop()


@pytest.fixture
def recipe(bus_settings: BusSettings, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """The recipes' settings: a broker with all topics, and the registry."""
    with Admin(bus_settings, PATIENCE) as admin:
        admin.apply(bus_settings.catalogue)
    with served(create_app(bus_settings.catalogue)) as url:
        yield {**environment, "SCHEMA_REGISTRY_URL": url, "GROUP": f"{bus_settings.topic_prefix}report"}


def run(environment: dict[str, str], *command: str, cwd: Path | None = None) -> list[str]:
    done = subprocess.run(
        [sys.executable, *command], env=environment, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_confluent_kafka_reads_events_and_drops_what_comes_twice(
    recipe: dict[str, str], bus_settings: BusSettings
) -> None:
    first, second = delivery(1), delivery(2, "expired", "EXPIRED")
    asyncio.run(write(bus_settings, "delivery", [(b"a", first), (b"a", first), (b"a", second)]))
    topic = bus_settings.catalogue["delivery"].name
    lines = run(recipe, str(RECIPES / "python" / "read_confluent.py"), "3", topic)
    values = [json.loads(line)["value"] for line in lines]
    assert [value["event_id"] for value in values] == ["evt_1", "evt_2"]
    names = {"event_id": "evt_1", "message_id": "m-1", "provider_message_id": "p-1"}
    assert values[0] == {**example("DeliveryEvent"), **names}


def test_confluent_kafka_reads_states_of_contacts_and_that_there_is_none(
    recipe: dict[str, str], bus_settings: BusSettings
) -> None:
    state = contact("+15551230002", active=False)
    asyncio.run(write(bus_settings, "contacts", [(b"2", state), (b"2", state), (b"2", None)]))
    topic = bus_settings.catalogue["contacts"].name
    lines = [json.loads(line) for line in run(recipe, str(RECIPES / "python" / "read_confluent.py"), "3", topic)]
    assert [line["key"] for line in lines] == ["2", "2", "2"]
    assert [line["value"] and line["value"]["phone_number"] for line in lines] == ["+15551230002"] * 2 + [None]


def test_kafka_python_reads_who_must_not_be_texted(recipe: dict[str, str], bus_settings: BusSettings) -> None:
    states: list[tuple[bytes, Record | None]] = [
        (b"1", contact("+15551230001", active=False)),
        (b"2", contact("+15551230002", active=False)),
        (b"3", contact("+15551230003", active=True)),
        (b"4", contact("+15551230004", active=False)),
        (b"2", None),
        (b"4", contact("+15551230004", active=True)),
    ]
    asyncio.run(write(bus_settings, "contacts", states))
    topic = {"TOPIC": bus_settings.catalogue["contacts"].name}
    lines = run({**recipe, **topic}, str(RECIPES / "python" / "contacts_kafka_python.py"))
    assert [json.loads(line)["phone_number"] for line in lines] == ["+15551230001"]


def test_kafka_python_lets_no_older_state_of_a_contact_count(recipe: dict[str, str], bus_settings: BusSettings) -> None:
    removed = contact("+15550001", active=False)
    states: list[tuple[bytes, Record | None]] = [
        (b"1", removed),
        (b"1", contact("+15550001", active=True)),
        (b"1", None),
        (b"2", None),
        (b"2", contact("+15550002", active=False)),
    ]
    asyncio.run(write(bus_settings, "contacts", states, versions=[5, 4, 3, 5, 4]))
    topic = {"TOPIC": bus_settings.catalogue["contacts"].name}
    lines = run({**recipe, **topic}, str(RECIPES / "python" / "contacts_kafka_python.py"))
    assert [json.loads(line)["phone_number"] for line in lines] == ["+15550001"]


def test_duckdb_reads_a_parquet_export(
    recipe: dict[str, str], bus_settings: BusSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [delivery(1), delivery(1), delivery(2), delivery(3), delivery(4, "expired", "EXPIRED"), *corrected(5)]
    asyncio.run(write(bus_settings, "delivery", [(b"a", event) for event in events]))
    export = ["tap", bus_settings.catalogue["delivery"].name, "--from", "beginning", "--out", "delivery.parquet"]
    run({**recipe, "SCHEMA_REGISTRY_URL": ""}, "-m", "trackly", *export, cwd=tmp_path)
    monkeypatch.chdir(tmp_path)
    with duckdb.connect() as database:
        view, by_day, reasons = database.extract_statements((RECIPES / "duckdb.sql").read_text("utf-8"))
        database.execute(view)
        days = [(str(day), *rest) for day, *rest in database.execute(by_day).fetchall()]
        assert days == [
            ("2026-11-20", "infobip", "delivered", 3, 60.0),
            ("2026-11-20", "infobip", "expired", 1, 20.0),
            ("2026-11-20", "infobip", "undeliverable", 1, 20.0),
        ]
        told = {("infobip", "EXPIRED", "3,5", 1), ("infobip", "REJECTED_OPERATOR", "3,5", 1)}
        assert set(database.execute(reasons).fetchall()) == told


def test_polars_reads_parquet_exports(recipe: dict[str, str], bus_settings: BusSettings, tmp_path: Path) -> None:
    try:
        place = installed(POLARS)
    except NotInstalled as error:
        pytest.skip(f"polars was NOT run: {error}")
    events = [delivery(1), delivery(1), delivery(2), delivery(3, "expired", "EXPIRED"), *corrected(4)]
    states: list[tuple[bytes, Record | None]] = [
        (b"1", contact("+15551230001", active=False)),
        (b"2", contact("+15551230002", active=False)),
        (b"3", contact("+15551230003", active=True)),
        (b"2", None),
    ]
    asyncio.run(write(bus_settings, "delivery", [(b"a", event) for event in events]))
    asyncio.run(write(bus_settings, "contacts", states))
    for name in ("delivery", "contacts"):
        export = ["tap", bus_settings.catalogue[name].name, "--from", "beginning", "--out", f"{name}.parquet"]
        run({**recipe, "SCHEMA_REGISTRY_URL": ""}, "-m", "trackly", *export, cwd=tmp_path)
    done = subprocess.run(
        [str(place / ".venv/bin/python"), str(RECIPES / "polars" / "report.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    delivered, expired, undeliverable, removed = map(json.loads, done.stdout.splitlines())
    assert delivered == {"day": "2026-11-20", "provider": "infobip", "status": "delivered", "messages": 2}
    assert expired == {"day": "2026-11-20", "provider": "infobip", "status": "expired", "messages": 1}
    assert undeliverable == {"day": "2026-11-20", "provider": "infobip", "status": "undeliverable", "messages": 1}
    assert (removed["phone_number"], removed["since"]) == ("+15551230001", "2026-11-20 10:20:00+00:00")


# Recipes that nothing here can run are held to the topics and fields at least


@pytest.mark.parametrize("name", ["clickhouse/delivery.sql", "flink/delivery.sql"])
def test_a_table_has_only_columns_of_its_topic(name: str) -> None:
    text = (RECIPES / name).read_text("utf-8")
    tables = re.findall(r"CREATE TABLE \w+\s*\((.*?)\n\)(.*?);", text, re.DOTALL)
    assert tables
    for columns, options in tables:
        topic = Catalogue().named(re.search(r"'(sms\.[a-z.]+)'", options)[1])  # type: ignore[index]
        assert topic is not None
        names = [line.split()[0].strip("`") for line in columns.strip().splitlines()]
        names = [column for column in names if column not in ("WATERMARK", "PRIMARY")]
        assert set(names) <= set(example(str(topic.record)))
        if "clickhouse" in name:
            assert names == list(example(str(topic.record)))


@pytest.mark.parametrize("path", sorted(RECIPES.glob("connect/*.json")), ids=lambda p: p.name)
def test_a_connector_reads_public_topics_by_the_registry(path: Path) -> None:
    config = json.loads(path.read_text("utf-8"))["config"]
    topics = [Catalogue().named(name) for name in config["topics"].split(",")]
    assert all(topic is not None and topic.public for topic in topics)
    assert config["value.converter.schema.registry.url"].startswith("http")
