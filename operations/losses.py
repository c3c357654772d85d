"""Whose opt-outs retention may have deleted before streams read them, until operators have made up for it.

In doubt, a contact is not texted. Who is concerned follows from the lost records' topic: callbacks may be about anyone,
while receipts and replies have keys, of which only those of the lost partition are concerned.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from bus.admin import Partition, TopicLog
from bus.losses import EVERY_ACCOUNT, OPT_OUTS
from bus.producer import partition_of
from schemas.records import OF_NOBODY, OF_PARTITION, LossSettled, RecordsLost
from schemas.topics import Catalogue

LOST_RECORDS = "lost_records"
"""Reason for a hold because an opt-out of the contact may be lost."""


def settlement_key(loss: str, account: str) -> str:
    """Return the key of a settlement on `trackly.losses`."""
    return f"{loss}/{account}"


@dataclass(slots=True)
class KnownLosses:
    """What `trackly.losses` says: losses by ID, and the accounts for which each is settled."""

    losses: dict[str, RecordsLost] = field(default_factory=dict)
    settled: dict[str, set[str]] = field(default_factory=dict)

    def put(self, record: RecordsLost | LossSettled) -> None:
        """Take a record."""
        if isinstance(record, RecordsLost):
            self.losses[record.event_id] = record
        else:
            self.settled.setdefault(record.loss, set()).add(record.account)

    def open(self) -> list[RecordsLost]:
        """Return the losses that are not settled for every account, in the order in which they were noticed."""
        found = (loss for loss in self.losses.values() if EVERY_ACCOUNT not in self.settled.get(loss.event_id, ()))
        return sorted(found, key=lambda loss: (loss.noticed_at, loss.topic, loss.partition, loss.first))


class Doubts:
    """Which contacts' opt-outs may be among lost records. Asking takes the same time however many losses there are."""

    def __init__(
        self, losses: Iterable[RecordsLost] = (), settled: Mapping[str, Collection[str]] | None = None
    ) -> None:
        """`settled`: the accounts for which each loss is settled, by its ID."""
        self._losses = [loss for loss in losses if loss.opt_outs != OF_NOBODY]
        self._settled = settled or {}
        self._of_all: frozenset[str] | None = None
        self._of_partitions: dict[int, dict[int, frozenset[str]]] = {}
        for loss in self._losses:
            done = frozenset(self._settled.get(loss.event_id, ()))
            if EVERY_ACCOUNT in done:
                continue
            if loss.opt_outs == OF_PARTITION:
                lost = self._of_partitions.setdefault(loss.partitions, {})
                lost[loss.partition] = lost.get(loss.partition, done) & done
            else:
                self._of_all = done if self._of_all is None else self._of_all & done

    def __bool__(self) -> bool:
        """Whether there is any doubt about anyone."""
        return self._of_all is not None or bool(self._of_partitions)

    @property
    def count(self) -> int:
        """Number of lost records among which opt-outs may be."""
        done = (self._settled.get(loss.event_id, ()) for loss in self._losses)
        return sum(loss.count for loss, each in zip(self._losses, done, strict=True) if EVERY_ACCOUNT not in each)

    def about_all(self, account: str) -> bool:
        """Whether every contact of the account is in doubt."""
        return self._of_all is not None and account not in self._of_all

    def about_some(self, account: str) -> bool:
        """Whether at least some contacts of the account are in doubt."""
        return self.about_all(account) or any(
            account not in done for lost in self._of_partitions.values() for done in lost.values()
        )

    def about(self, account: str, recipient: bytes) -> bool:
        """Whether a contact, by its recipient's key, is in doubt."""
        if self.about_all(account):
            return True
        for partitions, lost in self._of_partitions.items():
            done = lost.get(partition_of(recipient, partitions))
            if done is not None and account not in done:
                return True
        return False

    def of(self, account: str) -> list[RecordsLost]:
        """Return the losses that concern an account."""
        settled = ((loss, self._settled.get(loss.event_id, ())) for loss in self._losses)
        return [loss for loss, done in settled if EVERY_ACCOUNT not in done and account not in done]


NO_DOUBTS = Doubts()


def unread(
    catalogue: Catalogue, group: str, committed: Mapping[Partition, int], logs: Mapping[str, TopicLog]
) -> dict[Partition, RecordsLost]:
    """Return what retention has deleted without the group of streams having read it, by partition: losses that nobody
    has noticed yet, and that have no ID. `committed` was taken before `logs`."""
    found = {}
    for topic, opt_outs in OPT_OUTS.items():
        name = catalogue[topic].name
        begins = logs[name].begins if name in logs else {}
        for partition, first in begins.items():
            at = committed.get((name, partition))
            if first > (at or 0):
                found[name, partition] = RecordsLost(
                    event_id="",
                    reader=group,
                    topic=name,
                    partition=partition,
                    partitions=len(begins),
                    first=at or 0,
                    count=first - (at or 0),
                    uncertain=at is None,
                    opt_outs=opt_outs,
                    noticed_at=0,
                )
    return found


def sentence(losses: Iterable[RecordsLost]) -> str:
    """Say for people what was lost, and what to do before anyone is texted."""
    counts: dict[str, int] = {}
    found = list(losses)
    for loss in found:
        counts[loss.topic] = counts.get(loss.topic, 0) + loss.count
    most = "up to " if any(loss.uncertain for loss in found) else ""
    what = ", ".join(f"{most}{count:,} records of {topic}" for topic, count in counts.items())
    start = "start streams, which records the loss; " if any(not loss.event_id for loss in found) else ""
    return (
        f"Kafka deleted {what} before streams read them, and opt-outs may be among them. An operator can end this:"
        f" {start}import the providers' lists of opt-outs (`trackly contacts import`), then run `trackly losses settle`"
    )
