"""Contacts whose opt-outs retention may have deleted before streams read them: they are not texted.

Two things tell of such a loss. Until streams starts and records it, its committed offset lies before the beginning of a
partition; from then on, `trackly.losses` has it, until an operator settles it. In between, neither may be overlooked:
the gap counts until the copy of the topic contains all that was there after streams had moved on.
"""

from __future__ import annotations

from collections.abc import Mapping

from bus.admin import Partition, TopicLog
from bus.clock import Moment
from bus.layout import TopicMadeAnew
from bus.logs import repetitive_logger
from bus.reading.replica import Replica
from bus.settings import BusSettings
from operations.losses import LOST_RECORDS, NO_DOUBTS, Doubts, KnownLosses, sentence, settlement_key, unread
from schemas.codec import Codec, CodecError
from schemas.ids import recipient_key
from schemas.records import LossSettled, RecordsLost

log = repetitive_logger(__name__)


class LostRecords:
    """Follows the losses of streams. `replica` is a whole copy of their topic; `directory` is where it is, for
    people."""

    def __init__(self, settings: BusSettings, codec: Codec, replica: Replica, directory: str = "") -> None:
        self.doubts = NO_DOUBTS
        self._problem: str | None = None
        self._unreadable: str | None = None
        self._settings = settings
        self._group = settings.group("streams")
        self._codec = codec
        self._replica = replica
        self._directory = directory
        self._known = KnownLosses()
        self._read: dict[int, int] | None = None
        """Positions up to which `_known` is complete."""
        self._gaps: dict[Partition, RecordsLost] = {}
        self._settled_since: dict[str, Moment] = {}
        """When each settlement was first seen, by its key."""

    @property
    def topic(self) -> str:
        """Name of the topic on Kafka."""
        return self._replica.topic.name

    @property
    def topic_id(self) -> str | None:
        """Kafka's id of the topic that is copied; None before the start."""
        return self._replica.topic_id

    @property
    def positions(self) -> dict[Partition, int]:
        """Up to where the copy has the topic."""
        return {(self.topic, partition): at for partition, at in self._replica.positions.items()}

    async def start(self) -> None:
        """Follow the topic. Raises AdminError if there is no broker or no topic."""
        try:
            await self._replica.start()
        except TopicMadeAnew as error:
            # Only a person can tell whether it lacks losses.
            self._problem = (
                f"{error}, and may lack losses that no one has settled. The audit log has them as records.lost: make up"
                f" for them, then delete {self._directory} and restart the console"
            )
            log.critical("%s", self._problem)

    async def stop(self) -> None:
        """Stop following."""
        await self._replica.stop()

    def look(
        self, now: Moment, committed: Mapping[Partition, int], logs: Mapping[str, TopicLog], as_of: Moment | None
    ) -> None:
        """Record one observation: `committed` was taken first, then `now`, then `logs`. `as_of`: up to when the copy of
        contacts is complete."""
        ends = logs[self.topic].ends if self.topic in logs else {}
        is_whole = all(self._replica.positions.get(partition, 0) >= end for partition, end in ends.items())
        if self._read != self._replica.positions:
            self._read = dict(self._replica.positions)
            self._parse()
        gaps = unread(self._settings.catalogue, self._group, committed, logs)
        self._gaps = gaps if is_whole else {**self._gaps, **gaps}
        losses = [*self._known.losses.values(), *self._gaps.values()]
        self.doubts = Doubts(losses, self._effective(now, as_of)) if losses else NO_DOUBTS

    def not_ready(self) -> str | None:
        """Return why losses are unknown, or None."""
        return self._problem or self._unreadable or self._replica.problem

    def told(self, account: str) -> str | None:
        """Return why no contact of the account may be texted, and what to do about it; None: some may."""
        return sentence(self.doubts.of(account)) if self.doubts.about_all(account) else None

    def hold(self, account: str, number: str, *, is_mixed: bool) -> str | None:
        """Return why a contact must not be texted, or None. `is_mixed`: contacts of the account are known by other
        names than numbers too, so that what was lost may be about the same person in another partition."""
        if not self.doubts:
            return None
        is_concerned = (
            self.doubts.about_some(account) if is_mixed else self.doubts.about(account, recipient_key(account, number))
        )
        return LOST_RECORDS if is_concerned else None

    def _parse(self) -> None:
        self._known, self._unreadable = KnownLosses(), None
        for value in self._replica.values():
            try:
                record = self._codec.decode(value)
            except CodecError as error:
                self._unreadable = f"{self.topic} has a record that cannot be read: {error}"
                log.error("%s", self._unreadable)
                continue
            if isinstance(record, RecordsLost | LossSettled):
                self._known.put(record)

    def _effective(self, now: Moment, as_of: Moment | None) -> dict[str, set[str]]:
        """Return the accounts for which losses are settled, as soon as the copy of contacts has what came before: the
        opt-outs that were imported."""
        found: dict[str, set[str]] = {}
        for loss, accounts in self._known.settled.items():
            for account in accounts:
                since = self._settled_since.setdefault(settlement_key(loss, account), now)
                if as_of is not None and as_of >= since:
                    found.setdefault(loss, set()).add(account)
        return found
