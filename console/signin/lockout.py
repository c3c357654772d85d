"""Guessing passwords gets slower: failed sign-ins are counted by email address and by the caller's IP address.

A try is counted before the password is looked at, in one statement, so that many at the same moment are no more than
the same number one after the other. A success takes its own count back.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, case, delete, literal, or_, select, update

from database.inserts import insert_into
from database.tables import sign_in_failures

WAITS = (1, 2, 4, 8, 15, 30, 60, 120, 300, 600, 900)
"""Seconds to wait after each failure past the free ones; the last one holds for all that follow."""

FREE_OF_ADDRESS, FREE_OF_CLIENT = 5, 20
"""Failures in a row that cost no wait: of one email address, and of one client, behind which may be an office."""

FORGOTTEN_MS = 24 * 3_600_000
"""A failure that is older than this does not count any more."""


class Locked(Exception):
    """Too many failures. The text tells whoever tried how long to wait."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many tries. Try again in {seconds} s.")


class Counter(NamedTuple):
    """What is counted: a digest, and how many failures are free."""

    key: str
    free: int


def counters_of(email: str, remote_ip: str) -> tuple[Counter, Counter]:
    """Counters of a try: of the address that was typed, known or not, and of the client."""
    return Counter(_digest("address", email), FREE_OF_ADDRESS), Counter(
        _digest("client", _network(remote_ip)), FREE_OF_CLIENT
    )


def wait_after(failures: int, free: int) -> int:
    """Seconds from the last of so many failures until the next try."""
    late = failures - free
    return 0 if late < 0 else WAITS[min(late, len(WAITS) - 1)]


def count_try(connection: Connection, counters: Sequence[Counter], now: int) -> None:
    """Count a try as failed until `take_back` says otherwise. Raises Locked, and counts nothing then."""
    for counter in counters:
        if not _count(connection, counter, now):
            raise Locked(_left(connection, counter, now))


def take_back(connection: Connection, counters: Sequence[Counter]) -> None:
    """A try was a success: its address is clean, and its client has one failure less, not none.

    Somebody with one good password must not get free guesses at others.
    """
    table = sign_in_failures.c
    address, client = counters
    connection.execute(delete(sign_in_failures).where(table.key == address.key))
    connection.execute(
        update(sign_in_failures).where(table.key == client.key, table.failures > 0).values(failures=table.failures - 1)
    )


def forget(connection: Connection, now: int) -> None:
    """Delete what does not count any more."""
    connection.execute(delete(sign_in_failures).where(sign_in_failures.c.last_at < now - FORGOTTEN_MS))


def _count(connection: Connection, counter: Counter, now: int) -> bool:
    table: Table = sign_in_failures
    columns, is_old = table.c, table.c.last_at < now - FORGOTTEN_MS
    counted = (
        insert_into(connection, table)
        .values(key=counter.key, failures=1, last_at=now)
        .on_conflict_do_update(
            index_elements=[columns.key],
            set_={"failures": case((is_old, 1), else_=columns.failures + 1), "last_at": now},
            where=or_(is_old, columns.last_at + _wait_ms(counter.free) <= now),
        )
        .returning(columns.failures)
    )
    return connection.execute(counted).first() is not None


def _wait_ms(free: int) -> ColumnElement[int]:
    """`wait_after` of a row in SQL, in milliseconds."""
    failures = sign_in_failures.c.failures
    steps = [
        (failures < free + late, literal(0 if late == 0 else WAITS[late - 1] * 1000)) for late in range(len(WAITS))
    ]
    return case(*steps, else_=WAITS[-1] * 1000)


def _left(connection: Connection, counter: Counter, now: int) -> int:
    columns = sign_in_failures.c
    row = connection.execute(select(columns.failures, columns.last_at).where(columns.key == counter.key)).first()
    if row is None:
        return 1
    until = int(row.last_at) - now
    return max(1, -(-until // 1000) + wait_after(int(row.failures), counter.free))


def _digest(kind: str, text: str) -> str:
    return hashlib.sha256(f"{kind} {text}".encode("utf-8", "surrogatepass")).hexdigest()


def _network(remote_ip: str) -> str:
    # Whoever has one IPv6 address has the 2^64 of its network.
    try:
        address = ipaddress.ip_address(remote_ip)
    except ValueError:
        return remote_ip
    return str(ipaddress.ip_network(f"{address}/64", strict=False)) if address.version == 6 else str(address)
