"""Checks which versions of trackly are running, and whether they have the same pseudonym key: each process states both
when it probes Kafka's clock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from bus.clock import now_seconds
from bus.kafka_time import PSEUDONYM_KEY, VERSION
from bus.reading.topic import END, Start
from bus.settings import BusSettings
from bus.version import version
from schemas.cloudevents import header
from trackly.commands.doctor.findings import Finding, fine
from trackly.reading import open_topic

LATELY = 90.0
"""Seconds for which a process counts as running. Each probes every 30 s (`bus.watch`)."""

UNTOLD = "one that does not report its version"

_SERVICES = ("ingest", "streams", "sinks", "console", "mirror")


class Running(NamedTuple):
    """What ran recently, by service, except for the read model, which writes nothing to Kafka: versions, and
    fingerprints of pseudonym keys."""

    versions: dict[str, set[str]]
    keys: dict[str, set[str]]


async def running(settings: BusSettings) -> Running:
    """Return what ran recently."""
    found = Running(defaultdict(set), defaultdict(set))
    since = Start(millis=int((now_seconds() - LATELY) * 1_000))
    async with open_topic(settings, settings.catalogue["clocks"].name, since, end=END) as topic:
        async for record in topic.rest():
            service = (record.key or b"").partition(b"/")[0].decode(errors="replace")
            if service in _SERVICES:
                version = header(record.headers, VERSION)
                found.versions[service].add(UNTOLD if version is None else version.decode(errors="replace")[:40])
                key = header(record.headers, PSEUDONYM_KEY)
                if key is not None:
                    found.keys[service].add(key.decode(errors="replace")[:40])
    return found


def differing(found: Mapping[str, set[str]], ours: str | None = None) -> Iterator[Finding]:
    """Report versions that run side by side, or differ from this command's."""
    ours = version() if ours is None else ours
    everywhere = set().union(*found.values())
    shown = ", ".join(f"{service} runs {' and '.join(sorted(found[service]))}" for service in sorted(found))
    if len(everywhere) > 1:
        yield Finding(
            "versions", "differ", "warning", shown,
            "Finish the rollout, or roll back: docs/operating/upgrade.md.",
        )  # fmt: skip
    elif everywhere - {ours}:
        yield Finding(
            "versions", "not_this", "warning", f"{shown}; this command is {ours}",
            "Use the command of the running version.",
        )  # fmt: skip
    elif everywhere:
        yield fine("versions", f"{', '.join(sorted(found))} run {ours}, as this command")
    else:
        yield fine("versions", f"no process has been seen in the last {LATELY:.0f} s")


def different_keys(found: Mapping[str, set[str]], ours: str | None) -> Iterator[Finding]:
    """Report services with different pseudonym keys. `found`: fingerprints by service; `ours`: this command's."""
    everywhere = {**found, **({} if ours is None else {"this command": {ours}})}
    if len(set().union(*everywhere.values())) > 1:
        yield Finding(
            "keys", "pseudonym_keys_differ", "error",
            f"{', '.join(sorted(everywhere))} do not all have the same TRACKLY_PSEUDONYM_KEY: numbers that were removed"
            " and then erased may be texted",
            "Give all of them the key that streams had when a number was first erased; `trackly backup` keeps it.",
        )  # fmt: skip
