"""Many rows at once: the same on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, Table, select

from database import bulk
from database.engine import open_engine
from database.tables import READ_MODEL, contacts, dead_webhooks, hourly_attempts, message_tags, positions, replies
from tests.databases import database_in

CHOSEN_BY_OTHERS = {
    "message_id", "provider_message_id", "number", "to_number", "list_number", "status_detail", "detail", "keyword",
    "text", "body", "provider_code", "provider_text", "response_head", "event_id", "url", "contact",
    "value",
}  # fmt: skip
"""Columns with texts of providers, senders and recipients."""

SAMPLES: dict[type, Any] = {str: "some_text", int: 1, bool: True, bytes: b""}


@pytest.fixture(scope="module")
def postgres_engine(postgres: str, postgres_template: str) -> Iterator[Engine]:
    with database_in(postgres, postgres_template) as url:
        engine = open_engine(url)
        yield engine
        engine.dispose()


def reply(event_id: str, **changes: Any) -> bulk.Row:
    return {
        "event_id": event_id, "account": "acme", "provider": "twilio", "number": "+15551230001", "to_number": None,
        "list_number": None, "text": "hello", "kind": "reply", "keyword": None, "received_at": 1, "source": None,
    } | changes  # fmt: skip


def everything(engine: Engine, table: Table) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]


def test_rows_are_found_by_one_column_or_by_several(database: Engine) -> None:
    with database.begin() as connection:
        bulk.insert(connection, replies, [reply("a"), reply("b", account="other"), reply("c", text="näh \\N\t\n")])
        by_event = bulk.find(connection, replies, ["event_id"], [("c",), ("a",), ("z",)], ["event_id", "text"])
        by_two = bulk.find(connection, replies, ["account", "event_id"], [("other", "b"), ("acme", "b")])
    assert sorted(by_event, key=lambda row: row["event_id"]) == [
        {"event_id": "a", "text": "hello"}, {"event_id": "c", "text": "näh \\N\t\n"},
    ]  # fmt: skip
    assert [(row["id"], row["event_id"], row["source"]) for row in by_two] == [(2, "b", None)]


def test_rows_are_changed_by_their_id(database: Engine) -> None:
    new = {
        "contact": "acme:l:n", "account": "acme", "list_number": "l", "number": "n", "active": False, "failures": 3,
        "reason": "message", "since": 5, "last_event_id": "e",
    }  # fmt: skip
    with database.begin() as connection:
        bulk.insert(connection, contacts, [new, new | {"contact": "acme:l:m"}])
        bulk.update(connection, contacts, [{"id": 2, "active": True, "reason": None, "failures": 0}])
    assert [row[5:8] for row in everything(database, contacts)] == [(False, 3, "message"), (True, 0, None)]


def test_rows_are_changed_by_another_column(database: Engine) -> None:
    new = {"message": 1, "account": "acme", "name": "campaign", "value": "7", "updated_at": 1}
    with database.begin() as connection:
        bulk.insert(connection, message_tags, [new, new | {"name": "flow"}, new | {"message": 2}])
        bulk.update(connection, message_tags, [{"message": 1, "updated_at": 5}])
    assert [(row[0], row[4]) for row in everything(database, message_tags)] == [(1, 5), (1, 5), (2, 1)]


def test_bytes_are_stored(database: Engine) -> None:
    row = {
        "account": "acme", "endpoint": "crm", "event_id": "e", "event": "delivery", "body": b"\x00\xff\\x",
        "attempts": 1, "last_status": None, "error_class": "timeout", "first_attempt_at": 1, "died_at": 2, "origin": "",
        "place": "d/0/1", "delivered_at": None, "number": None,
    }  # fmt: skip
    with database.begin() as connection:
        bulk.insert(connection, dead_webhooks, [row])
        assert bulk.find(connection, dead_webhooks, ["place"], [("d/0/1",)], ["body"]) == [{"body": b"\x00\xff\\x"}]


def test_sums_are_added_to_what_is_there(database: Engine) -> None:
    hour = {"account": "acme", "hour": 0, "endpoint": "crm", "outcome": "2xx", "count": 2, "latency_ms_sum": 10}
    for _ in range(2):
        with database.begin() as connection:
            bulk.add(connection, hourly_attempts, [hour, hour | {"outcome": "5xx", "count": 1}])
    assert [row[3:] for row in everything(database, hourly_attempts)] == [("2xx", 4, 20), ("5xx", 2, 20)]


def test_rows_with_a_key_of_their_own_are_replaced(database: Engine) -> None:
    for offset in (1, 2):
        with database.begin() as connection:
            row = {"topic": "t", "partition": 0, "topic_id": "x", "next_offset": offset}
            bulk.put(connection, positions, [row, row | {"partition": 1}])
    assert everything(database, positions) == [("t", 0, "x", 2), ("t", 1, "x", 2)]


def test_nothing_is_done_for_no_rows(database: Engine) -> None:
    with database.begin() as connection:
        for each in (bulk.insert, bulk.update, bulk.put, bulk.add):
            each(connection, replies, [])
        assert bulk.find(connection, replies, ["event_id"], []) == []


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"text": "a\x00b"}, {"text": "a\ufffdb"}),
        ({"text": "x" * 300}, {"text": "x" * 300}),
        ({"keyword": None}, {"keyword": None}),
        ({"number": "9" * 255}, {"number": "9" * 255}),
        ({"number": "9" * 256}, {"number": "9" * 254 + "…"}),
    ],
)
def test_what_a_database_cannot_take_is_made_fitting(given: bulk.Row, stored: bulk.Row) -> None:
    row = reply("e")
    assert bulk.fitting(replies, row | given) == row | stored


@pytest.mark.parametrize("table", READ_MODEL, ids=lambda table: table.name)
def test_the_longest_texts_fit_into_every_index(postgres_engine: Engine, table: Table) -> None:
    # Four bytes a character, and nothing that could be compressed.
    long = "".join(chr(0x1F000 + number * 7919 % 4096) for number in range(1_000))
    row = {
        column.name: long if column.name in CHOSEN_BY_OTHERS else SAMPLES[column.type.python_type]
        for column in table.columns
    }
    with postgres_engine.begin() as connection:
        bulk.insert(connection, table, [bulk.fitting(table, row)])
        connection.rollback()
