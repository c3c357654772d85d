"""Checks that partitions still mean what they meant, and that offsets still belong to the same topics.

A contact's state lives in its recipient's partition, which depends on the partition count. If counts differ, or one was
raised, half of the recipients would start over as if they had never been removed. And an offset only makes sense for
one topic: if the topic is deleted and recreated, it counts other records. Kafka identifies topics by ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from schemas.topics import Catalogue

GROW = (
    "To get more partitions, move to topics under another prefix: `trackly topics grow --help`. Kafka cannot "
    "remove partitions: topics that somebody raised by hand must be moved too."
)


class LayoutError(RuntimeError):
    """Topics have changed, or are not what they must be. The message gives the remedy."""


class TopicMadeAnew(LayoutError):
    """A topic was recreated, so what was read from the old one may no longer be on any topic."""


class Identity(NamedTuple):
    """Kafka's id of a topic, and its partition count."""

    id: str
    partitions: int

    def __str__(self) -> str:
        return f"{self.id}/{self.partitions}"

    @classmethod
    def parsed(cls, text: str) -> Identity | None:
        """Parse the output of `str`; None for anything else."""
        name, _, count = text.rpartition("/")
        return cls(name, int(count)) if name and count.isdecimal() else None


def check_partitions(catalogue: Catalogue, found: Mapping[str, Identity]) -> None:
    """Compare existing topics with each other and with the setting. Raises LayoutError.

    Topics without a key may have any count.
    """
    shared = [topic for topic in catalogue.values() if topic.shares_partitions and topic.key != "none"]
    counts = {topic.name: found[topic.name].partitions for topic in shared if topic.name in found}
    wanted = {topic.partitions for topic in shared}
    if not counts or set(counts.values()) == wanted:
        return
    (setting,) = wanted
    if len(set(counts.values())) == 1:
        raise LayoutError(
            f"Topics keyed by recipient have {next(iter(counts.values()))} partitions, but TRACKLY_PARTITIONS is "
            f"{setting}: set it to the number they were created with. {GROW}"
        )
    odd = {name: count for name, count in counts.items() if count != setting} or counts
    shown = ", ".join(f"{name} has {count}" for name, count in list(odd.items())[:3])
    more = f" and {len(odd) - 3} more differ" if len(odd) > 3 else ""
    raise LayoutError(
        f"Topics keyed by recipient must all have TRACKLY_PARTITIONS={setting} partitions, so that everything about "
        f"one recipient lands in the same one: {shown}{more}. {GROW}"
    )


def check_stored(stored: Mapping[str, Identity], found: Mapping[str, Identity]) -> None:
    """Compare topics with the identities stored beside their offsets. Raises LayoutError for a different partition
    count."""
    for name, before in stored.items():
        now = found.get(name)
        if now is not None and now.id == before.id and now.partitions != before.partitions:
            raise LayoutError(
                f"{name} had {before.partitions} partitions when its records were last processed, but has "
                f"{now.partitions} now: recipients would be looked up in the wrong partitions. {GROW}"
            )
