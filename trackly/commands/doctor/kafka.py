"""Checks brokers, topics, groups, and clocks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from bus.admin import Admin, AdminError
from bus.kafka_time import ClockWrong, check_clock
from bus.producer import KafkaError
from bus.settings import BusSettings
from trackly.commands.doctor.findings import Finding, failed, fine, or_fine

OLDEST = (3, 7)
"""The oldest supported version of Kafka."""

SAFE_COPIES = 3
"""Copies that let one broker fail while another one is being restarted."""


def examine(settings: BusSettings) -> Iterator[Finding]:
    """Return the findings about brokers. The first one is an error if none answers."""
    try:
        with Admin(settings) as admin:
            yield from _brokers(admin, settings)
            yield from or_fine("topics", _topics(admin, settings), "all exist as in the catalogue")
            yield from or_fine("groups", _groups(admin, settings), "streams and sinks have processes")
    except AdminError as error:
        yield failed(
            "broker",
            "unreachable",
            error,
            "Check KAFKA_BOOTSTRAP_SERVERS and KAFKA_*, and that the brokers are running.",
        )
        return
    yield _clock(settings)


def _brokers(admin: Admin, settings: BusSettings) -> Iterator[Finding]:
    versions = admin.brokers()
    shown = ", ".join(sorted({".".join(map(str, version)) for version in versions.values()}))
    yield fine("broker", f"{len(versions)} answer at {settings.bootstrap_servers}, Kafka {shown}")
    old = sorted(number for number, version in versions.items() if version[:2] < OLDEST)
    if old:
        yield Finding(
            "broker", "too_old", "error", f"brokers {old} are older than Kafka {'.'.join(map(str, OLDEST))}",
            "Upgrade them.",
        )  # fmt: skip
    if len(set(versions.values())) > 1:
        yield Finding(
            "broker", "versions_differ", "warning", f"brokers have different versions: {shown}",
            "Finish the upgrade of Kafka.",
        )  # fmt: skip
    if settings.replication < min(SAFE_COPIES, len(versions)):
        yield Finding(
            "broker", "few_copies", "warning",
            f"TRACKLY_REPLICATION is {settings.replication} on {len(versions)} brokers: losing one disk loses "
            "acknowledged records",
            f"Set TRACKLY_REPLICATION={min(SAFE_COPIES, len(versions))}, and give existing topics more replicas with"
            " kafka-reassign-partitions.sh.",
        )  # fmt: skip


def _topics(admin: Admin, settings: BusSettings) -> Iterator[Finding]:
    for change in admin.compare(settings.catalogue):
        if change.action == "missing":
            remedy = "Run `trackly topics apply`."
            if change.topic == settings.catalogue["contacts"].name:
                remedy += " If it was deleted, stop streams first, and run `trackly tables publish-contacts` afterward."
            yield Finding("topics", "missing", "error", f"{change.topic} does not exist", remedy)
            continue
        for difference in change.detail.split("; "):
            setting, _, rest = difference.partition(" is ")
            yield _difference(change.topic, setting, rest)
    for topic, count in admin.out_of_sync(topic.name for topic in settings.catalogue.values()).items():
        yield Finding(
            "topics", "out_of_sync", "error", f"{topic}: {count} partitions have replicas that are not in sync",
            "Check whether a broker is down, or its disk is full.",
        )  # fmt: skip


def _difference(topic: str, setting: str, rest: str) -> Finding:
    text = f"{topic}: {setting} is {rest}"
    wanted = rest.rpartition("not ")[2]
    match setting:
        case "partitions":
            return Finding(
                "topics", "partitions", "error", text,
                "Set TRACKLY_PARTITIONS for every service to the actual number; `trackly topics grow` moves to more "
                "partitions.",
            )  # fmt: skip
        case "replication":
            return Finding(
                "topics", "replication", "warning", text,
                "Change it with kafka-reassign-partitions.sh, or TRACKLY_REPLICATION if it is intended.",
            )  # fmt: skip
        case "min.insync.replicas":
            remedy = "an acknowledged record may be lost with one broker, or no records are accepted while one is down"
            command = f"kafka-configs.sh --alter --topic {topic} --add-config {setting}={wanted}"
            return Finding("topics", "min_insync", "error", f"{text}: {remedy}", f"Run `{command}`.")
        case _:
            command = f"kafka-configs.sh --alter --topic {topic} --add-config {setting}={wanted}"
            return Finding("topics", "differs", "warning", text, f"Run `{command}` if it is not intended.")


def _groups(admin: Admin, settings: BusSettings) -> Iterator[Finding]:
    for service in ("streams", "sinks"):
        if not admin.has_members(settings.group(service)):
            yield Finding(
                "groups", "nobody", "warning", f"no process of {service} is in its consumer group",
                f"Start `trackly {service}`.",
            )  # fmt: skip


def _clock(settings: BusSettings) -> Finding:
    try:
        asyncio.run(check_clock(settings, "doctor"))
    except ClockWrong as error:
        return failed("clock", "wrong", error, "Correct the clock of the machine that is wrong (NTP).")
    except KafkaError as error:
        return failed("clock", "unknown", error, "Kafka reveals its time only in a record that it accepts.")
    return fine("clock", "this machine's clock agrees with Kafka's")
