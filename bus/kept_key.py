"""Which TRACKLY_PSEUDONYM_KEY an installation has, as Kafka keeps it: by a fingerprint, which does not tell the key.

With another key, what remains of erased numbers is not found, and people who opted out before they were erased would be
texted again. The first streams with a key keeps its fingerprint on a compacted topic; from then on, whoever needs the
key compares. Each fingerprint is a key of that topic, so compaction keeps them all, and the oldest counts: if two
processes with different keys start at the same time, they agree on one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from bus.kafka_time import PSEUDONYM_KEY
from bus.producer import Producer
from bus.reading.topic import BEGINNING, open_topic
from bus.settings import BusSettings
from schemas.cloudevents import header

TOPIC = "fingerprints"

REMEDY = (
    "Set the key that streams had before; `trackly restore FILE --keys-to NEW_FILE` writes the one in a backup to a"
    " file. If it is lost, stop streams and run `trackly secrets accept-pseudonym-key`, which first says how many"
    " removals would be forgotten."
)

_KIND = b"pseudonym_key/"


class PseudonymKeyWrong(RuntimeError):
    """TRACKLY_PSEUDONYM_KEY is not the installation's. The message gives the remedy."""


def oldest(records: Iterable[Any]) -> str | None:
    """Return the fingerprint that counts, given the topic's records in order; None: none is kept."""
    kept: dict[bytes, None] = {}
    for record in records:
        if record.key is None or not record.key.startswith(_KIND):
            continue
        if record.value is None:
            kept.pop(record.key, None)
        else:
            kept.setdefault(record.key)
    first = next(iter(kept), None)
    return None if first is None else first.removeprefix(_KIND).decode(errors="replace")


async def kept_fingerprint(settings: BusSettings) -> str | None:
    """Return the fingerprint that the installation keeps; None: none yet. Raises AdminError, Stalled."""
    return oldest(await _records(settings, TOPIC))


def problem(settings: BusSettings, kept: str | None) -> str | None:
    """Say what is wrong with this process's key, given the fingerprint that is kept; None: nothing."""
    if kept is None or kept == _ours(settings):
        return None
    if settings.pseudonyms is None:
        return (
            "TRACKLY_PSEUDONYM_KEY is not set, but this installation has a key: without it, people who opted out and"
            f" were then erased would be texted again. {REMEDY}"
        )
    return (
        f"TRACKLY_PSEUDONYM_KEY is not this installation's key: its fingerprint is {_ours(settings)}, not {kept}. With"
        f" it, people who opted out and were then erased would be texted again. {REMEDY}"
    )


def check(settings: BusSettings, kept: str | None) -> None:
    """Raises PseudonymKeyWrong unless this process's key has the fingerprint that is kept, if one is."""
    if (wrong := problem(settings, kept)) is not None:
        raise PseudonymKeyWrong(wrong)


async def check_key(settings: BusSettings) -> None:
    """Compare this process's key with the installation's. Raises PseudonymKeyWrong, AdminError, Stalled."""
    check(settings, await kept_fingerprint(settings))


async def check_or_keep_key(settings: BusSettings) -> None:
    """Compare streams' key with the installation's; if none is kept yet, keep it.

    An installation may have erased numbers before fingerprints were kept. So a key counts as the installation's only if
    no process of streams had another one within the last day, as their probes of Kafka's clock say.

    Raises PseudonymKeyWrong, AdminError, Stalled, KafkaError.
    """
    kept, ours = await kept_fingerprint(settings), _ours(settings)
    if kept is None and ours is not None:
        others = await _lately(settings) - {ours}
        if others:
            check(settings, min(others))
        await _write(settings, ours)
    await check_key(settings)


async def replace_key(settings: BusSettings) -> None:
    """Make this process's key the installation's, whichever it had; without a key here, it has none. Raises AdminError,
    Stalled, KafkaError."""
    ours = _ours(settings)
    kept = {record.key for record in await _records(settings, TOPIC) if record.key is not None}
    # Should this stop halfway, the former key still counts.
    await _write(settings, ours, instead_of=kept - {_named(ours)})


async def _write(settings: BusSettings, fingerprint: str | None, instead_of: Iterable[bytes] = ()) -> None:
    topic = settings.catalogue[TOPIC].name
    producer = Producer(settings, delivery_timeout=30.0)
    await producer.start()
    try:
        if fingerprint is not None:
            await (await producer.send(topic, fingerprint.encode(), key=_named(fingerprint)))
        await asyncio.gather(*[await producer.send(topic, None, key=key) for key in sorted(instead_of)])
    finally:
        await producer.stop()


def _named(fingerprint: str | None) -> bytes:
    return _KIND + (fingerprint or "").encode()


def _ours(settings: BusSettings) -> str | None:
    return None if settings.pseudonyms is None else settings.pseudonyms.fingerprint


async def _lately(settings: BusSettings) -> set[str]:
    """Return the fingerprints of the keys that streams had within the last day."""
    found = set()
    for record in await _records(settings, "clocks"):
        key = header(record.headers, PSEUDONYM_KEY)
        if key is not None and (record.key or b"").partition(b"/")[0] == b"streams":
            found.add(key.decode(errors="replace"))
    return found


async def _records(settings: BusSettings, topic: str) -> list[Any]:
    name = settings.catalogue[topic].name
    async with open_topic(settings, lambda _: name, BEGINNING) as opened:
        return [record async for record in opened.rest()]
