"""`python -m bench.console DATABASE_URL`: how long the console's pages and filters take with millions of messages.

Fills an empty database with messages, and attempts, replies, contacts, dead letters and rejected items in proportion.
Then starts a console on it and asks for every list with every filter, by the API and as a page, and for every other
page, over HTTP, one request at a time. Prints a JSON line for each: p50, p95 and longest in ms. Exit code 1 if some p95
is over the bound.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine, Table, inspect, text

from accounts.keys import new_key
from accounts.store import write_configs, write_key
from bench.measure import percentile
from bus.admin import Admin
from bus.clock import now_ms
from bus.embedded.broker import EmbeddedKafka, free_port
from bus.producer import Producer
from bus.settings import BusSettings
from console.principals import EVERY_ACCOUNT, Role
from console.signin import sessions
from console.signin.users import add_user
from database.engine import open_engine
from database.migrating import migrate
from database.tables import (
    attempts,
    contact_changes,
    contacts,
    dead_webhooks,
    events,
    hourly_events,
    messages,
    receipts,
    rejected,
    replies,
)
from schemas.codec import Codec
from schemas.records import AccountConfig, ListConfig
from schemas.registry import registry_for
from trackly.commands.up.supervisor import Service

BOUND_MS = 200.0
REQUESTS = 60
END = 1_795_000_000_000
"""Time of the newest row; the rows before it are 100 ms apart."""

ACCOUNT = "CASE WHEN n % 10 < 7 THEN 'acme' ELSE 'other' END"
NUMBER = "'+1555' || substr('0000000' || (n % 1000000), -7)"
PG_NUMBER = "'+1555' || lpad((n % 1000000)::text, 7, '0')"
STATUS = "CASE WHEN n % 20 = 0 THEN 'undeliverable' WHEN n % 997 = 0 THEN 'expired' ELSE 'delivered' END"
DETAIL = (
    "CASE WHEN n % 20 = 0 THEN 'REJECTED_ABSENT_SUBSCRIBER' WHEN n % 997 = 0 THEN 'EXPIRED'"
    " ELSE 'DELIVERED_TO_HANDSET' END"
)
OUTCOME = "CASE WHEN n % 50 = 0 THEN '5xx' WHEN n % 1009 = 0 THEN 'timeout' ELSE '2xx' END"

ROWS: dict[Table, tuple[float, dict[str, str]]] = {
    messages: (
        1.0,
        {
            "account": ACCOUNT,
            "provider": "CASE WHEN n % 3 = 0 THEN 'twilio' ELSE 'infobip' END",
            "provider_message_id": "'p-' || n",
            "message_id": "'m-' || n",
            "number": NUMBER,
            "list_number": "CASE WHEN n % 100 = 0 THEN '+18005559999' ELSE '+18005551234' END",
            "status": STATUS,
            "status_detail": DETAIL,
            "status_class": "'delivered'",
            "provider_code": "'3:5'",
            "final": "{true}",
            "part_count": "1",
            "registered_at": "{at} - 5000",
            "updated_at": "{at}",
        },
    ),
    receipts: (
        1.0,
        {
            "event_id": "'evt_d' || n",
            "account": ACCOUNT,
            "provider": "CASE WHEN n % 3 = 0 THEN 'twilio' ELSE 'infobip' END",
            "provider_message_id": "'p-' || n",
            "number": NUMBER,
            "status": STATUS,
            "status_detail": DETAIL,
            "status_class": "'delivered'",
            "provider_status": "'DELIVERED_TO_HANDSET'",
            "provider_code": "'3:5'",
            "provider_text": "'Message delivered to handset'",
            "occurred_at": "{at} - 500",
            "received_at": "{at}",
            "source": "'t/0/' || n",
        },
    ),
    events: (
        1.0,
        {
            "event_id": "'evt_' || n",
            "account": ACCOUNT,
            "event": "'delivery'",
            "message_id": "'m-' || n",
            "provider_message_id": "'p-' || n",
            "number": NUMBER,
            "list_number": "'+18005551234'",
            "body": """'{"event":"delivery","status":"delivered"}'""",
            "place": "'e/0/' || n",
            "at": "{at}",
        },
    ),
    contact_changes: (
        0.1,
        {
            "account": ACCOUNT,
            "list_number": "'+18005551234'",
            "number": NUMBER,
            "change": "'removed'",
            "reason": "'bad_response'",
            "keyword": "NULL",
            "issued_by": "NULL",
            "event_id": "'evt_u' || n",
            "at": "{at}",
        },
    ),
    attempts: (
        0.2,
        {
            "account": ACCOUNT,
            "endpoint": "CASE WHEN n % 40 = 0 THEN 'billing' ELSE 'crm' END",
            "event_id": "'evt_' || n",
            "event": "CASE WHEN n % 500 = 0 THEN 'reply' ELSE 'delivery' END",
            "attempt": "1",
            "url": "'https://crm.example.com/trackly'",
            "outcome": OUTCOME,
            "status": "200",
            "error_class": "NULL",
            "latency_ms": "41",
            "response_head": "'ok'",
            "request_size": "220",
            "next_attempt_at": "NULL",
            "final": "{true}",
            "at": "{at}",
        },
    ),
    replies: (
        0.02,
        {
            "event_id": "'evt_r' || n",
            "account": ACCOUNT,
            "provider": "'infobip'",
            "number": NUMBER,
            "to_number": "'+18005551234'",
            "list_number": "'+18005551234'",
            "text": "'Thank you'",
            "kind": "CASE WHEN n % 30 = 0 THEN 'opt_out' ELSE 'reply' END",
            "keyword": "NULL",
            "received_at": "{at}",
            "source": "'t/0/' || n",
        },
    ),
    contacts: (
        0.1,
        {
            "contact": "'c' || n",
            "account": ACCOUNT,
            "list_number": "'+18005551234'",
            "number": NUMBER,
            "active": "n % 3 = 0",
            "failures": "1",
            "reason": "CASE WHEN n % 5 = 0 THEN 'complaint' ELSE 'message' END",
            "since": "{at}",
            "last_event_id": "'evt_' || n",
        },
    ),
    dead_webhooks: (
        0.005,
        {
            "account": ACCOUNT,
            "endpoint": "CASE WHEN n % 40 = 0 THEN 'billing' ELSE 'crm' END",
            "event_id": "'evt_' || n",
            "event": "'delivery'",
            "body": "{bytes}",
            "attempts": "6",
            "last_status": "500",
            "error_class": "CASE WHEN n % 9 = 0 THEN 'timeout' ELSE 'http_status' END",
            "first_attempt_at": "{at} - 1000",
            "died_at": "{at}",
            "origin": "'e/0/' || n",
            "place": "'d/0/' || n",
        },
    ),
    rejected: (
        0.005,
        {
            "event_id": "'evt_x' || n",
            "account": ACCOUNT,
            "provider": "'infobip'",
            "stage": "'normalize'",
            "reason": "CASE WHEN n % 9 = 0 THEN 'malformed' ELSE 'unknown_status' END",
            "error": "'status: is unknown'",
            "source": "'t/0/' || n",
            "item": "'{}'",
            "place": "'x/0/' || n",
            "rejected_at": "{at}",
        },
    ),
}
"""Tables, rows per message, and columns as SQL over `n`."""

ASKED: dict[str, tuple[str, ...]] = {
    "deliveries": (
        "",
        "status=undeliverable",
        "status=expired",
        "status=queued",
        "status_detail=EXPIRED",
        "provider=twilio",
        "list_number=%2B18005559999",
        "number=%2B15550000120",
        "message_id=m-4000",
        "provider_message_id=p-4000",
        "since=24h",
        "status=expired&provider=twilio",
        "status=undeliverable&list_number=%2B18005559999",
        "status=expired&list_number=%2B18005559999&provider=infobip",
    ),
    "attempts": (
        "",
        "endpoint=billing",
        "outcome=timeout",
        "endpoint=billing&outcome=5xx",
        "event=reply",
        "event_id=evt_4000",
    ),
    "replies": ("", "kind=opt_out", "number=%2B15550000120", "list_number=%2B18005551234"),
    "contacts": ("", "active=false", "reason=complaint", "list_number=%2B18005551234"),
    "dead-letters": ("", "endpoint=billing", "error_class=timeout", "event_id=evt_4000"),
    "rejected": ("", "reason=malformed", "provider=infobip"),
    "statistics": ("group=hour", "group=day&since=30d", "group=detail&since=30d", "group=list_number&since=7d"),
}


ALSO = (
    *("/deliveries/infobip/p-4000", "/contacts/+15550000120", "/attempts/4000", "/replays", "/webhooks", "/lists"),
    *("/providers", "/providers/infobip", "/alerts", "/keys", "/users", "/audit", "/audit/installation"),
)
"""Pages without filters."""


def main() -> None:
    """Fill, serve, ask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--messages", type=int, default=5_000_000)
    options = parser.parse_args()
    engine = open_engine(options.url)
    migrate(engine)
    with engine.connect() as connection:
        is_empty = connection.execute(messages.select().limit(1)).first() is None
    if is_empty:
        for table, (share, columns) in ROWS.items():
            _fill(engine, table, int(options.messages * share), columns)
        _count(engine)
    with tempfile.TemporaryDirectory(prefix="trackly-bench-") as home, _console(Path(home), options.url) as at:
        late = asyncio.run(_ask(engine, *at))
    sys.exit(1 if late else 0)


def _fill(engine: Engine, table: Table, count: int, columns: dict[str, str]) -> None:
    began = time.monotonic()
    is_postgres = engine.dialect.name == "postgresql"
    with engine.begin() as connection:
        # Creating the indexes afterward takes a fraction of the time.
        for index in table.indexes:
            index.drop(connection)
        literals = {
            "at": f"({END} - ({count} - n) * 100)",
            "true": "true" if is_postgres else "1",
            "bytes": "'{}'::bytea" if is_postgres else "x'7b7d'",
        }
        values = []
        for value in columns.values():
            for name, literal in literals.items():
                value = value.replace(f"{{{name}}}", literal)
            values.append(value.replace(NUMBER, PG_NUMBER) if is_postgres else value)
        numbers = f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {count}) SELECT n FROM c"
        series = f"generate_series(1, {count}) AS n" if is_postgres else f"({numbers})"
        statement = f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {series}"
        connection.execute(text(statement.replace("'3:5'", "'3\\:5'")))
        for index in table.indexes:
            index.create(connection)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"ANALYZE {table.name}"))
    assert inspect(engine).has_table(table.name)
    print(f"{count:,} {table.name} in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def _count(engine: Engine) -> None:
    """Write hourly counts of 400 days: two lists, two providers, three states."""
    hour = 3_600_000
    rows = [
        {
            "account": "acme",
            "hour": END - END % hour - back * hour,
            "event": "delivery",
            "provider": provider,
            "list_number": number,
            "status": status,
            "detail": detail,
            "count": 1_000,
        }
        for back in range(24 * 400)
        for provider in ("infobip", "twilio")
        for number in ("+18005551234", "+18005559999")
        for status, detail in (("delivered", "DELIVERED_TO_HANDSET"), ("undeliverable", "REJECTED_OPERATOR"))
    ]
    with engine.begin() as connection:
        connection.execute(hourly_events.insert(), rows)


@contextmanager
def _console(directory: Path, database: str) -> Iterator[tuple[str, str]]:
    """Yield the base URL of a console on the database, and an API key for `acme`."""
    with EmbeddedKafka(directory / "kafka") as kafka:
        os.environ |= {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "TRACKLY_DATA_DIR": str(directory),
            "TRACKLY_PARTITIONS": "2",
            "DATABASE_URL": database,
            "TRACKLY_API_RATE": "100000",
            "TRACKLY_API_BURST": "100000",
        }
        settings = BusSettings()
        with Admin(settings) as admin:
            admin.apply(settings.catalogue)
        key = asyncio.run(_configure(settings))
        port = free_port()
        console = Service("console", ["console"], {"TRACKLY_CONSOLE_PORT": str(port)}, directory / "console.log", port)
        console.start()
        try:
            deadline = time.monotonic() + 60
            while not console.is_ready():
                if time.monotonic() > deadline:
                    sys.exit(f"the console is not ready:\n{console.last_lines(20)}")
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}", key
        finally:
            console.stop()


async def _configure(settings: BusSettings) -> str:
    codec, producer = Codec(registry_for(settings.schema_registry_url)), Producer(settings)
    await producer.start()
    lists = [ListConfig(account="acme", number=number) for number in ("+18005551234", "+18005559999")]
    await write_configs(producer, settings, codec, [AccountConfig(id="acme", name="Acme"), *lists])
    key, secret = new_key("acme", "bench")
    await write_key(producer, settings, codec, key)
    await producer.stop()
    return secret


async def _ask(engine: Engine, base: str, key: str) -> list[str]:
    """Return requests slower than the bound."""
    now = now_ms()
    with engine.begin() as connection:
        user = add_user(connection, f"bench-{now}@example.com", "", {EVERY_ACCOUNT: Role.ADMIN})
        cookie = f"trackly={sessions.start(connection, user.id, now)}"
    late: list[str] = []
    asked = [(True, f"/api/{name}?{query}") for name, queries in ASKED.items() for query in queries]
    listed = ((name, query) for name, queries in ASKED.items() for query in queries if name != "statistics")
    asked += [(False, f"/accounts/acme/{name}?{query}") for name, query in listed]
    asked += [(False, f"/accounts/acme?window={window}") for window in ("1h", "24h", "7d")]
    asked += [(False, f"/accounts/acme{path}") for path in ALSO]
    async with httpx.AsyncClient(base_url=base, timeout=60) as client:
        for is_api, path in asked:
            own = {"headers": {"X-Api-Key": key}} if is_api else {"headers": {"Cookie": cookie}}
            took = await _times(client, path, own)
            p95 = percentile(took, 0.95)
            print(json.dumps({"path": path, "p50": percentile(took, 0.5), "p95": p95, "max": max(took)}), flush=True)
            if p95 > BOUND_MS:
                late.append(path)
    return late


async def _times(client: httpx.AsyncClient, path: str, own: dict[str, Any]) -> list[float]:
    took = []
    for number in range(REQUESTS + 2):
        began = time.perf_counter()
        answer = await client.get(path, **own)
        if answer.status_code != 200:
            sys.exit(f"{path} was answered {answer.status_code}: {answer.text[:500]}")
        if number >= 2:
            took.append(round((time.perf_counter() - began) * 1000, 1))
    return took


if __name__ == "__main__":
    main()
