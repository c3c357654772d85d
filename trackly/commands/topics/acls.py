"""The permissions that each service needs on Kafka: topics that it writes and reads by the catalogue, and its groups.

Printed for Kafka's own tool, or as users for Strimzi. Each service has its own user: `trackly-ingest` ...
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from bus.settings import BusSettings
from schemas.topics import Catalogue

SERVICES = ("ingest", "streams", "sinks", "console", "read-model", "mirror")
"""Services that use Kafka, by the names of writers and readers in the catalogue."""

MEMBER_OF = {
    "streams": ("streams",),
    "sinks": ("sinks", "replays", "delay-*"),
    "mirror": ("mirror",),
}
"""Consumer groups of each service (`BusSettings.group`), except those of `sinks.app.SINKS`; a star at the end stands
for all groups with this prefix."""

LOOKS_AT = {"console": ("streams",)}
"""Groups whose committed offsets a service reads: an answer holds once streams has committed that far."""

Operation = Literal["Read", "Write", "Create", "Describe", "DescribeConfigs", "Delete", "Alter", "AlterConfigs"]


@dataclass(frozen=True, slots=True)
class AccessRule:
    """A user may perform these operations on a topic or group; `is_prefix`: on all whose names begin with `name`."""

    user: str
    operations: tuple[Operation, ...]
    resource: Literal["topic", "group"]
    name: str
    is_prefix: bool = False


def rules(settings: BusSettings, user_prefix: str = "trackly-") -> list[AccessRule]:
    """Return all rules, by user. `setup` creates topics (`trackly topics apply`); `admin` runs the other commands."""
    found = []
    heads = heads_of(settings.catalogue)
    groups = settings.group("")
    for service in SERVICES:
        user = user_prefix + service
        # Every start compares the partition counts and ids of all topics, and checks the settings of some.
        found += [AccessRule(user, ("Describe", "DescribeConfigs"), "topic", head, True) for head in heads]
        found += _of_topics(user, service, settings)
        found += [_group(user, groups + name, "Read") for name in _member_of(service)]
        found += [_group(user, groups + name, "Describe") for name in LOOKS_AT.get(service, ())]
    setup, admin = user_prefix + "setup", user_prefix + "admin"
    found += [AccessRule(setup, ("Create", "Describe", "DescribeConfigs"), "topic", head, True) for head in heads]
    everything: tuple[Operation, ...] = ("Create", "Describe", "DescribeConfigs", "Read", "Write")
    found += [AccessRule(admin, everything, "topic", head, True) for head in heads]
    found.append(AccessRule(admin, ("Describe",), "group", groups, True))
    return found


def _member_of(service: str) -> tuple[str, ...]:
    from sinks.app import SINKS  # a worker's imports are slow

    return MEMBER_OF.get(service, ()) + (tuple(SINKS) if service == "sinks" else ())


def heads_of(catalogue: Catalogue) -> list[str]:
    """Return the beginnings of the topics' names, including the deployment's prefix: `sms.`, `config.`, `trackly`."""
    return [f"{catalogue.prefix}{head}" for head in ("sms.", "config.", "trackly")]


def for_kafka(found: list[AccessRule]) -> str:
    """Return calls of `kafka-acls.sh`, one per line. Repeating them changes nothing."""
    lines = ["# BOOTSTRAP: the brokers; admin.properties: connection settings of a user who may alter ACLs."]
    gathered: dict[tuple[object, ...], list[str]] = {}
    for rule in found:
        gathered.setdefault((rule.user, rule.resource, rule.operations, rule.is_prefix), []).append(rule.name)
    for (user, resource, operations, is_prefix), names in gathered.items():
        words = ["--add", "--allow-principal", f"User:{user}"]
        words += [word for operation in operations for word in ("--operation", operation)]  # type: ignore[attr-defined]
        words += [word for name in names for word in (f"--{resource}", name)]
        words += ["--resource-pattern-type", "prefixed"] if is_prefix else []
        lines.append(
            'kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --command-config admin.properties ' + shlex.join(words)
        )
    return "\n".join(lines) + "\n"


def for_strimzi(found: list[AccessRule], cluster: str) -> str:
    """Return KafkaUsers, whose passwords the User Operator generates."""
    users: dict[str, list[AccessRule]] = {}
    for rule in found:
        users.setdefault(rule.user, []).append(rule)
    return yaml.safe_dump_all((_kafka_user(user, own, cluster) for user, own in users.items()), sort_keys=False)


def _kafka_user(user: str, own: list[AccessRule], cluster: str) -> dict[str, Any]:
    return {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": "KafkaUser",
        "metadata": {"name": user, "labels": {"strimzi.io/cluster": cluster}},
        "spec": {
            "authentication": {"type": "scram-sha-512"},
            "authorization": {
                "type": "simple",
                "acls": [
                    {
                        "resource": {
                            "type": rule.resource,
                            "name": rule.name,
                            "patternType": "prefix" if rule.is_prefix else "literal",
                        },
                        "operations": list(rule.operations),
                    }
                    for rule in own
                ],
            },
        },
    }


def _of_topics(user: str, service: str, settings: BusSettings) -> Iterator[AccessRule]:
    tiers: set[tuple[Operation, ...]] = set()
    for topic in settings.catalogue.values():
        operations: tuple[Operation, ...] = (
            *(("Write",) if service in topic.written_by else ()),
            *(("Read",) if service in topic.read_by else ()),
        )
        if not operations:
            continue
        if topic.delay_ms is None:
            yield AccessRule(user, operations, "topic", topic.name)
        elif operations not in tiers:
            # Webhooks that wait in a delay topic of an earlier schedule are found again.
            tiers.add(operations)
            yield AccessRule(user, operations, "topic", topic.name.rpartition(".")[0] + ".", True)


def _group(user: str, name: str, operation: Operation) -> AccessRule:
    return AccessRule(user, (operation,), "group", name.removesuffix("*"), name.endswith("*"))
