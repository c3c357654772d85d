"""What topics are on the broker: that partitions still mean what they meant, and topics are those that offsets count.

A contact's state lies in the partition of its recipient, by the count of partitions. Where counts differ, or one has
been raised, half of the recipients would begin anew, as contacts that were never removed. And an offset counts the
records of one topic: after the topic was deleted and made anew, it counts others. Kafka tells topics apart by ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from schemas.topics import Catalogue

GROW = (
    "To have more partitions, move to topics under another prefix: `trackly topics grow --help`."
    " Kafka cannot take partitions away again: topics that somebody raised by hand must be moved too."
)


class LayoutError(RuntimeError):
    """Topics are not what they were, or not what they must be. The message says what to do."""


class TopicMadeAnew(LayoutError):
    """A topic is not the one that was read before: what was read of that may be on no topic any more."""


class Identity(NamedTuple):
    """Kafka's id of a topic, and how many partitions it has."""

    id: str
    partitions: int

    def __str__(self) -> str:
        return f"{self.id}/{self.partitions}"

    @classmethod
    def parsed(cls, text: str) -> Identity | None:
        """What `str` gave; None for anything else."""
        name, _, count = text.rpartition("/")
        return cls(name, int(count)) if name and count.isdecimal() else None


def check_partitions(catalogue: Catalogue, found: Mapping[str, Identity]) -> None:
    """Compare the topics that are found with each other and with the setting. Raises LayoutError.

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
            f"Topics keyed by recipient have {next(iter(counts.values()))} partitions, but TRACKLY_PARTITIONS is"
            f" {setting}: set it to what they were made with. {GROW}"
        )
    odd = {name: count for name, count in counts.items() if count != setting} or counts
    shown = ", ".join(f"{name} has {count}" for name, count in list(odd.items())[:3])
    more = f" and {len(odd) - 3} more differ" if len(odd) > 3 else ""
    raise LayoutError(
        f"Topics keyed by recipient must all have as many partitions as TRACKLY_PARTITIONS says, {setting}, so that"
        f" everything about one recipient meets in one of them: {shown}{more}. {GROW}"
    )


def check_stored(stored: Mapping[str, Identity], found: Mapping[str, Identity]) -> None:
    """Compare topics with what they were when offsets of them were stored. Raises LayoutError for another count."""
    for name, before in stored.items():
        now = found.get(name)
        if now is not None and now.id == before.id and now.partitions != before.partitions:
            raise LayoutError(
                f"{name} had {before.partitions} partitions when its records were last processed, and has"
                f" {now.partitions} now: recipients would be looked for in other partitions than their state lies in."
                f" {GROW}"
            )
