"""Every list, with every filter and pair of filters, is read by an index: no statement scans a table."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text

from accounts.lists import Lists
from console.queries.codes import codes_of_failures
from console.queries.contacts import ContactsFilter, changes, listed_contacts
from console.queries.deliveries import DeliveriesFilter
from console.queries.deliveries import deliveries as all_deliveries
from console.queries.filters import ListFilter
from console.queries.receivers import receivers_of_no_list
from console.queries.replies import RepliesFilter, replies
from console.queries.tags import rare_first
from console.queries.traces import trace
from database import tables
from database.bulk import insert
from schemas.ids import derived_id
from tests.unit.console import rows

ROWS = 20_000

deliveries = partial(all_deliveries, tag_arguments=("campaign", "user"))

LISTS: list[tuple[Callable[..., Any], type[ListFilter], dict[str, Any]]] = [
    (
        deliveries,
        DeliveriesFilter,
        {
            "status": "expired",
            "status_detail": "EXPIRED",
            "provider": "twilio",
            "list_number": "+18005559999",
            "number": "+15550000007",
            "message_id": "m-7",
            "provider_message_id": "ib-7",
            "tag": ("campaign:spring",),
            "since": "24h",
        },
    ),
    (
        replies,
        RepliesFilter,
        {"kind": "opt_in", "list_number": "+18005559999", "number": "+15550000007", "since": "24h"},
    ),
    (
        listed_contacts,
        ContactsFilter,
        {"active": True, "reason": "complaint", "list_number": "+18005559999", "number": "+15550000007", "since": "7d"},
    ),
]

QUESTIONS = [
    pytest.param(query, kind, dict(chosen), id="-".join([kind.__name__, *dict(chosen)]))
    for query, kind, values in LISTS
    for size in (0, 1, 2)
    for chosen in itertools.combinations(values.items(), size)
]


def filled(engine: Engine) -> Engine:
    """Create the database with many rows, of two accounts, and the planner's statistics."""
    number = "+1555{:07}".format
    with engine.begin() as connection:
        insert(
            connection,
            tables.messages,
            [
                rows.message(
                    n,
                    number=number(n % 5_000),
                    account=_account(n),
                    tags=f'{{"campaign":"spring","user":"{n % 3_000}"}}' if n % 7 else None,
                )
                for n in range(ROWS)
            ],
        )
        insert(connection, tables.message_tags, rows.tags_of(connection))
        insert(
            connection,
            tables.replies,
            [rows.reply(n, number=number(n % 5_000), account=_account(n)) for n in range(ROWS)],
        )
        contacts = [rows.contact(n, number=number(n), account=_account(n)) for n in range(ROWS)]
        insert(connection, tables.contacts, contacts)
        insert(connection, tables.receipts, [rows.receipt(n, provider_message_id=f"ib-{n}") for n in range(ROWS)])
        told = [derived_id(f"evt_receipt_{n}", "delivery") for n in range(ROWS)]
        insert(connection, tables.events, [rows.event(each, message_id=f"m-{n}") for n, each in enumerate(told)])
        insert(connection, tables.attempts, [rows.answered_attempt(each) for each in told])
        insert(
            connection,
            tables.contact_changes,
            [rows.change(event_id=f"evt_change_{n}", number=number(n % 5_000)) for n in range(ROWS)],
        )
        insert(
            connection,
            tables.receivers,
            [rows.seen_receiver(f"+1888{n:07}", n % 30, account="other" if n % 50 else "acme") for n in range(ROWS)],
        )
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("ANALYZE"))
    return engine


def _account(n: int) -> str:
    return "acme" if n % 10 else "other"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A database with many rows."""
    from database.engine import open_engine
    from database.migrating import migrate
    from tests.databases import database_in

    if request.param == "sqlite":
        engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('plans') / 'console.db'}")
        migrate(engine)
        yield filled(engine)
        engine.dispose()
        return
    template = request.getfixturevalue("postgres_template")
    with database_in(request.getfixturevalue("postgres"), template) as url:
        engine = open_engine(url)
        yield filled(engine)
        engine.dispose()


def plans(engine: Engine, query: Callable[..., Any], *arguments: Any) -> list[str]:
    """Return the plan's steps of every statement that a query executes."""
    statements: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    with engine.connect() as connection:
        event.listen(engine, "before_cursor_execute", note)
        try:
            query(connection, *arguments)
        finally:
            event.remove(engine, "before_cursor_execute", note)
        assert statements
        return [step for statement in statements for step in _steps(connection, *statement)]


def _steps(connection: Connection, statement: str, parameters: Any) -> list[str]:
    explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    found = connection.exec_driver_sql(f"{explain} {statement}", parameters)
    return [str(row[-1]).strip() for row in found]


def walks(steps: list[str]) -> list[str]:
    """Return steps that read a whole table, or a whole index."""
    return [step for step in steps if "Seq Scan" in step or step.startswith("SCAN ")]


def test_a_walk_over_a_table_is_noticed(full: Engine) -> None:
    statement = text("SELECT * FROM receipts WHERE provider_text = 'x'")
    assert walks(plans(full, lambda connection: connection.execute(statement)))


@pytest.mark.parametrize(("query", "kind", "chosen"), QUESTIONS)
def test_a_list_is_read_by_an_index(
    full: Engine, query: Callable[..., Any], kind: type[ListFilter], chosen: dict[str, Any]
) -> None:
    steps = plans(full, query, "acme", kind(**chosen))
    assert not walks(steps), steps


@pytest.mark.parametrize("name", ["message_id", "provider_message_id", "number"])
def test_what_names_one_message_is_not_looked_for_in_all(full: Engine, name: str) -> None:
    value = {"message_id": "m-7", "provider_message_id": "ib-7", "number": "+15550000007"}[name]
    steps = " ".join(plans(full, deliveries, "acme", DeliveriesFilter.model_validate({name: value})))
    assert name in steps.replace("messages_identity", "provider_message_id")
    assert "by_time" not in steps


def test_messages_of_a_tag_are_read_by_its_own_index(full: Engine) -> None:
    steps = plans(full, deliveries, "acme", DeliveriesFilter(tag=("campaign:spring",), since="24h"))
    assert "message_tags_by_value" in " ".join(steps)
    assert not [step for step in steps if "sort" in step.lower() or "b-tree" in step.lower()]


def test_messages_of_several_tags_are_read_by_indexes(full: Engine) -> None:
    steps = plans(full, deliveries, "acme", DeliveriesFilter(tag=("campaign:spring", "user:7")))
    assert not walks(steps), steps


@pytest.mark.parametrize(
    "chosen", [{"message_id": "m-7"}, {"provider_message_id": "ib-7"}, {"number": "+15550000007"}], ids=str
)
def test_tags_of_messages_that_are_named_are_checked_for_each(full: Engine, chosen: dict[str, str]) -> None:
    steps = plans(full, deliveries, "acme", DeliveriesFilter(tag=("campaign:spring", "user:7"), **chosen))
    assert not walks(steps), steps
    assert "message_tags_by_value" not in " ".join(steps)


@pytest.mark.parametrize("given", [{"campaign": "spring", "user": "8"}, {"user": "8", "campaign": "spring"}])
def test_messages_of_several_tags_are_those_of_a_rare_one_that_have_the_others(
    full: Engine, given: dict[str, str]
) -> None:
    with full.connect() as connection:
        assert rare_first(connection, "acme", given) == [("user", "8"), ("campaign", "spring")]


def test_a_trace_is_read_by_indexes(full: Engine) -> None:
    steps = plans(full, trace, "acme", "infobip", "ib-7", ())
    assert not walks(steps), steps


def test_codes_of_failures_are_read_by_an_index_of_the_failures(full: Engine) -> None:
    steps = plans(full, codes_of_failures, "acme", rows.NOW)
    assert "receipts_of_failures" in " ".join(steps), steps


def test_receivers_of_no_list_are_read_by_an_index(full: Engine) -> None:
    steps = plans(full, receivers_of_no_list, "acme", rows.NOW, lambda account: Lists.of({}))
    assert not walks(steps), steps


def test_the_history_of_a_contact_is_read_by_indexes(full: Engine) -> None:
    steps = plans(full, changes, "acme", "+15550000007")
    assert not walks(steps), steps
