"""Measures this machine's clock against Kafka's. Kafka reveals its time only when it appends a record."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets

from bus.clock import now_seconds
from bus.producer import Producer
from bus.settings import BusSettings
from bus.version import version
from schemas.ids import base_32

VERSION = "version"
"""Header of a clock probe: the version of trackly that this process runs (`trackly doctor` reads it)."""

PSEUDONYM_KEY = "pseudonym_key"
"""Header of a clock probe: the fingerprint of this process's TRACKLY_PSEUDONYM_KEY, if it has one."""

ENCRYPTION_KEYS = "encryption_keys"
"""Header of a clock probe: the fingerprints of this process's TRACKLY_SECRET_KEYS, newest first, with commas."""

PROCESS = "process"
"""Header of a clock probe: tells two processes from each other that have the same name."""

_CREATE_TIME = 0

_RANDOM = secrets.token_hex(4)


class ClockWrong(RuntimeError):
    """This machine's clock differs too much from Kafka's. The message gives the remedy."""


async def seconds_ahead(producer: Producer, settings: BusSettings, name: str) -> float:
    """Return the seconds by which the wall clock is certainly ahead of Kafka's; negative: behind. `name` identifies the
    caller.

    Also 0 if the topic was created elsewhere and carries no broker time. Raises KafkaError.
    """
    before = now_seconds()
    keys = ",".join(fingerprint(key.get_secret_value()) for key in settings.secret_keys)
    process = f"{_RANDOM}-{os.getpid()}"  # a fork has the same random digits, another container the same process ID
    headers = [(VERSION, version().encode()), (ENCRYPTION_KEYS, keys.encode()), (PROCESS, process.encode())]
    if settings.pseudonyms is not None:
        headers.append((PSEUDONYM_KEY, settings.pseudonyms.fingerprint.encode()))
    told = await (await producer.send(settings.catalogue["clocks"].name, None, key=name.encode(), headers=headers))
    after = now_seconds()
    if told.timestamp_type == _CREATE_TIME:
        return 0.0
    kafkas = float(told.timestamp) / 1_000
    return max(0.0, before - kafkas) or min(0.0, after - kafkas)


def fingerprint(secret_key: str) -> str:
    """Tells whether two processes have the same key for secrets, without telling the key, which is random."""
    return base_32(hmac.digest(secret_key.encode(), b"trackly fingerprint of a secret key", hashlib.sha256))[:12]


def clock_problem(ahead: float, tolerance: float) -> str | None:
    """Describe a clock that is this many seconds ahead, or return None if that is tolerated."""
    if abs(ahead) <= tolerance:
        return None
    return f"this machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} Kafka's"


async def check_clock(settings: BusSettings, name: str) -> None:
    """Check this machine's clock. Raises ClockWrong, KafkaError."""
    producer = Producer(settings, delivery_timeout=30.0)
    await producer.start()
    try:
        await seconds_ahead(producer, settings, name)  # the first probe finds the leader, which may take a while
        ahead = await seconds_ahead(producer, settings, name)
    finally:
        await producer.stop()
    if (problem := clock_problem(ahead, settings.clock_tolerance)) is not None:
        raise ClockWrong(
            f"{problem[0].upper()}{problem[1:]}, more than the {settings.clock_tolerance:g} s allowed by "
            "TRACKLY_CLOCK_TOLERANCE. Kafka would reject records, and callbacks and orders would get wrong times. "
            "Set the clock of the machine that is wrong (NTP), then start again."
        )
