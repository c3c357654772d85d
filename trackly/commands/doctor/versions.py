"""Checks which versions of trackly are running, whether they have the same keys, and whether two of them have the same
name: each process states all of that when it probes Kafka's clock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from bus import kept_key
from bus.clock import now_seconds
from bus.kafka_time import ENCRYPTION_KEYS, PROCESS, PSEUDONYM_KEY, VERSION
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
    fingerprints of pseudonym keys and of the keys for secrets, the latter newest first. And by name of a process, such
    as `streams/streams-0`, which processes had it, in the order of their probes."""

    versions: dict[str, set[str]]
    keys: dict[str, set[str]]
    secret_keys: dict[str, set[tuple[str, ...]]]
    processes: dict[str, list[str]]


async def running(settings: BusSettings) -> Running:
    """Return what ran recently."""
    found = Running(defaultdict(set), defaultdict(set), defaultdict(set), defaultdict(list))
    since = Start(millis=int((now_seconds() - LATELY) * 1_000))
    async with open_topic(settings, settings.catalogue["clocks"].name, since, end=END) as topic:
        async for record in topic.rest():
            name = (record.key or b"").decode(errors="replace")
            service = name.partition("/")[0]
            if service in _SERVICES:
                version = header(record.headers, VERSION)
                found.versions[service].add(UNTOLD if version is None else version.decode(errors="replace")[:40])
                key = header(record.headers, PSEUDONYM_KEY)
                if key is not None:
                    found.keys[service].add(key.decode(errors="replace")[:40])
                secret_keys, process = header(record.headers, ENCRYPTION_KEYS), header(record.headers, PROCESS)
                if secret_keys is not None:
                    found.secret_keys[service].add(tuple(filter(None, secret_keys.decode(errors="replace").split(","))))
                if process is not None:
                    found.processes[name].append(process.decode(errors="replace"))
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


def another_key(settings: BusSettings, kept: str | None) -> Iterator[Finding]:
    """Report that this command's pseudonym key is not the installation's. `kept`: the fingerprint of the latter."""
    if kept_key.problem(settings, kept) is not None:
        yield Finding(
            "keys", "pseudonym_key_wrong", "error",
            "TRACKLY_PSEUDONYM_KEY is not this installation's key: streams would not start with it",
            kept_key.REMEDY,
        )  # fmt: skip


def missing_keys(found: Mapping[str, set[tuple[str, ...]]], ours: tuple[str, ...]) -> Iterator[Finding]:
    """Report services that cannot read what others write: they lack the newest key of TRACKLY_SECRET_KEYS, with which
    another process encrypts. `found` and `ours` are fingerprints, newest first. The mirror reads no secrets."""
    having = {service: keys for service, keys in found.items() if service != "mirror"}
    newest = {keys[0] for each in having.values() for keys in each if keys} | set(ours[:1])
    lacking = sorted(service for service, each in having.items() if any(newest - set(keys) for keys in each))
    if newest - set(ours):
        lacking.append("this command")
    if lacking:
        yield Finding(
            "keys", "secret_keys_differ", "error",
            f"{', '.join(lacking)} lack a key of TRACKLY_SECRET_KEYS with which another process encrypts secrets:"
            " callbacks are answered 503, or webhooks are not sent",
            "Give all of them the same keys, and restart them.",
        )  # fmt: skip


def same_names(processes: Mapping[str, Iterable[str]]) -> Iterator[Finding]:
    """Report names that two processes have at the same time: those whose probes alternate. After a restart, only the
    new process probes."""
    for name, probes in processes.items():
        ended: set[str] = set()
        last = None
        for process in probes:
            if process in ended:
                break
            if last not in (None, process):
                ended.add(str(last))
            last = process
        else:
            continue
        service, _, instance = name.partition("/")
        if instance:
            yield Finding(
                "names", "twice", "error",
                f"two processes of {service} have the TRACKLY_INSTANCE_ID {instance}: each takes the other's place",
                "End one of them, or give it a name of its own. They may belong to two installations with the same"
                " Kafka and TRACKLY_TOPIC_PREFIX.",
            )  # fmt: skip
