"""Slows down password guessing: counts failed sign-ins by email address, by the caller's network, and by both.

No attacker can lock the owner of an address out. A browser in which the owner has signed in before (`devices`) is
delayed only by its own failures. From anywhere else, the first attempt of a network at an address in a day goes
through, whatever others do there; after that the address is locked, but never for long.

An attempt is counted before the password is checked, in one statement, so simultaneous attempts gain nothing over
consecutive ones. A success takes back its own count.
"""

from __future__ import annotations

import hashlib
import ipaddress
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, case, delete, literal, or_, select, update

from database.inserts import insert_into
from database.tables import sign_in_failures

WAITS = (1, 2, 4, 8, 15, 30, 60, 120, 300, 600, 900)
"""Seconds to wait after each failure beyond the free ones; the last one applies to all further failures."""

FREE_OF_BOTH, FREE_OF_CLIENT, FREE_OF_ADDRESS = 5, 20, 20
"""Consecutive failures without a wait: of a client at an address, of a client (behind which may be an office), and at
an address from anywhere."""

FREE_OF_NEWCOMER = 1
"""Attempts of a network at an address that others' failures do not delay; a network is wide here."""

LONGEST_OF_ADDRESS = 30
"""The longest wait, in seconds, for failures from anywhere."""

_WAITS_OF_ADDRESS = tuple(min(wait, LONGEST_OF_ADDRESS) for wait in WAITS)

FORGOTTEN_MS = 24 * 3_600_000
"""Age after which a failure no longer counts."""


class Locked(Exception):
    """Too many failures. The text says how long to wait."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many attempts. Try again in {seconds} s.")


class Counter(NamedTuple):
    """A counter: a digest, the number of free failures, and the waits after further ones, in seconds."""

    key: str
    free: int
    waits: tuple[int, ...] = WAITS


class Counters(NamedTuple):
    """The counters of an attempt: of the entered address, known or not, of the client, and of both.

    An attempt counts at the address unless `newcomer` allows it.
    """

    both: Counter
    client: Counter
    newcomer: Counter
    address: Counter


def counters_of(email: str, remote_ip: str) -> Counters:
    """Return the counters of an attempt."""
    network = _network(remote_ip)
    return Counters(
        Counter(_digest("both", f"{network} {email}"), FREE_OF_BOTH),
        Counter(_digest("client", network), FREE_OF_CLIENT),
        Counter(
            _digest("newcomer", f"{_network(remote_ip, 24, 48)} {email}"), FREE_OF_NEWCOMER, (FORGOTTEN_MS // 1000,)
        ),
        Counter(_digest("address", email), FREE_OF_ADDRESS, _WAITS_OF_ADDRESS),
    )


def counter_of_device(device: str) -> Counter:
    """Return the only counter of an attempt from a browser that has signed in before."""
    return Counter(_digest("device", device), FREE_OF_BOTH)


def wait_after(failures: int, counter: Counter) -> int:
    """Return the seconds to wait after the last of this many failures."""
    late = failures - counter.free
    return 0 if late < 0 else counter.waits[min(late, len(counter.waits) - 1)]


def count_try(connection: Connection, counters: Counters | Counter, now: int) -> None:
    """Count an attempt as failed until `take_back` is called. Raises Locked without counting it."""
    if isinstance(counters, Counter):
        _count_or_raise(connection, counters, now)
        return
    _count_or_raise(connection, counters.both, now)
    _count_or_raise(connection, counters.client, now)
    if not _count(connection, counters.newcomer, now):
        _count_or_raise(connection, counters.address, now)


def take_back(connection: Connection, counters: Counters | Counter) -> None:
    """Note a success: its address is cleared, and its client has one failure less, but is not cleared.

    Otherwise one known password would buy free guesses at others. A known device is counted on its own.
    """
    table = sign_in_failures.c
    if isinstance(counters, Counter):
        connection.execute(delete(sign_in_failures).where(table.key == counters.key))
        return
    clean = [counters.both.key, counters.newcomer.key, counters.address.key]
    connection.execute(delete(sign_in_failures).where(table.key.in_(clean)))
    connection.execute(
        update(sign_in_failures)
        .where(table.key == counters.client.key, table.failures > 0)
        .values(failures=table.failures - 1)
    )


def forget(connection: Connection, now: int) -> None:
    """Delete expired counts."""
    connection.execute(delete(sign_in_failures).where(sign_in_failures.c.last_at < now - FORGOTTEN_MS))


def _count_or_raise(connection: Connection, counter: Counter, now: int) -> None:
    if not _count(connection, counter, now):
        raise Locked(_left(connection, counter, now))


def _count(connection: Connection, counter: Counter, now: int) -> bool:
    table: Table = sign_in_failures
    columns, is_old = table.c, table.c.last_at < now - FORGOTTEN_MS
    counted = (
        insert_into(connection, table)
        .values(key=counter.key, failures=1, last_at=now)
        .on_conflict_do_update(
            index_elements=[columns.key],
            set_={"failures": case((is_old, 1), else_=columns.failures + 1), "last_at": now},
            where=or_(is_old, columns.last_at + _wait_ms(counter) <= now),
        )
        .returning(columns.failures)
    )
    return connection.execute(counted).first() is not None


def _wait_ms(counter: Counter) -> ColumnElement[int]:
    """`wait_after` of a row in SQL, in milliseconds."""
    failures = sign_in_failures.c.failures
    most = counter.free + len(counter.waits)
    steps = [(failures <= known, literal(wait_after(known, counter) * 1000)) for known in range(counter.free - 1, most)]
    return case(*steps, else_=counter.waits[-1] * 1000)


def _left(connection: Connection, counter: Counter, now: int) -> int:
    columns = sign_in_failures.c
    row = connection.execute(select(columns.failures, columns.last_at).where(columns.key == counter.key)).first()
    if row is None:
        return 1
    until = int(row.last_at) - now
    return max(1, -(-until // 1000) + wait_after(int(row.failures), counter))


def _digest(kind: str, text: str) -> str:
    return hashlib.sha256(f"{kind} {text}".encode("utf-8", "surrogatepass")).hexdigest()


def _network(remote_ip: str, bits_4: int = 32, bits_6: int = 64) -> str:
    # Whoever has one IPv6 address has the 2^64 of its network.
    try:
        address = ipaddress.ip_address(remote_ip)
    except ValueError:
        return remote_ip
    bits = bits_4 if address.version == 4 else bits_6
    network = ipaddress.ip_network(f"{address}/{bits}", strict=False)
    return str(network if network.num_addresses > 1 else address)
