"""Records that Kafka has not acknowledged yet: since when, and what became of the latest. No I/O.

Times are in seconds of the monotonic clock.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiokafka.errors import KafkaError

from bus.sent import Sent

WAITS_LONG = 10.0
"""Seconds without an acknowledgment after which a producer reports a problem."""

ONLY_FAILS = 5.0
"""Seconds of nothing but failures after which a producer reports a problem."""

FAILED_LATELY = 30.0
"""Seconds for which a failure counts as likely to recur."""

OVERTAKEN = 20.0
"""Seconds a record may wait while later ones are acknowledged; then a new producer gets it. If its partition has no
leader, that does not help, so each further wait is twice as long."""


class Outstanding:
    """A producer's unacknowledged records. `failures` counts those that failed, by error."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.failures: Counter[str] = Counter()
        self._clock = clock
        self._asking: dict[int, Sent] = {}
        """Records waiting for a producer to accept them."""
        self._given: dict[int, Sent] = {}
        """Records given to a producer, in order."""
        self._latest_acknowledged = 0.0
        """When the most recently sent of the acknowledged records was sent."""
        self._late_since: float | None = None
        """Since when the abandoned records had waited, until something is acknowledged again."""
        self._only_failed_since: float | None = None
        self._refusal: tuple[float, str] = (0.0, "")

    def ask(self, sent: Sent) -> None:
        """Note a record that waits for a producer to accept it."""
        self._asking[id(sent)] = sent

    def asked(self, sent: Sent) -> None:
        """Note that a record no longer waits for that."""
        del self._asking[id(sent)]

    def give(self, sent: Sent) -> None:
        """Note that a producer has accepted a record."""
        self._given[id(sent)] = sent

    def given(self) -> list[Sent]:
        """Return the records that producers have accepted, in order."""
        return list(self._given.values())

    def keeps(self, sent: Sent) -> bool:
        """Whether another producer must get a record that one had accepted. If not, it is forgotten: it has failed, or
        nobody waits for it anymore."""
        if id(sent) in self._given and not sent.result.done():
            return True
        self._given.pop(id(sent), None)
        return False

    def acknowledge(self, sent: Sent, metadata: Any) -> None:
        """Note that Kafka has a record, and tell its sender."""
        self._only_failed_since = self._late_since = None
        self._latest_acknowledged = max(self._latest_acknowledged, sent.since)
        if self._given.pop(id(sent), None) is not None and not sent.result.done():
            sent.result.set_result(metadata)

    def fail(self, sent: Sent, error: BaseException) -> None:
        """Note that a record may be missing, and tell its sender. Only the first outcome of a record counts."""
        if self._given.pop(id(sent), None) is None:
            return
        now = self._clock()
        self.failures[type(error).__name__] += 1
        self._only_failed_since = now if self._only_failed_since is None else self._only_failed_since
        self._refusal = now, type(error).__name__
        if not sent.result.done():
            sent.result.set_exception(error)

    def generations(self) -> set[int]:
        """Return the group generations outside of which records here must not be sent."""
        sent = (*self._given.values(), *self._asking.values())
        return {each.generation for each in sent if each.generation is not None}

    def lose(self, generation: int, error: BaseException) -> None:
        """Fail the records of a group generation that is over. Kafka has not refused them: nothing is counted."""
        for sent in (*self._given.values(), *self._asking.values()):
            if sent.generation == generation and not sent.result.done():
                self._given.pop(id(sent), None)
                sent.result.set_exception(error)

    def expire(self, timeout: float, error: Callable[[], KafkaError]) -> bool:
        """Fail the records that have waited for `timeout` seconds. Returns whether a producer still holds some."""
        oldest = self._clock() - timeout
        late = [sent for sent in self._given.values() if sent.since <= oldest]
        for sent in late:
            self.fail(sent, error())
        for sent in self._asking.values():
            if sent.since <= oldest and not sent.is_late:
                sent.is_late = True
                sent.task.cancel()
        if late:
            self._late_since = self._late_since or late[0].since
        return bool(late)

    def overtaken(self) -> float | None:
        """Return by how many seconds the oldest record has been overtaken, if that is too long; None otherwise."""
        oldest = next(iter(self._given.values()), None)
        if oldest is None:
            return None
        seconds = self._latest_acknowledged - oldest.since
        if seconds <= OVERTAKEN * 2**oldest.times_freed:
            return None
        oldest.times_freed += 1
        return seconds

    @property
    def waiting(self) -> float:
        """Seconds for which the oldest record has waited; 0 if there is none.

        Abandoned records count too, until something is acknowledged.
        """
        since = [next(iter(records.values())).since for records in (self._given, self._asking) if records]
        if self._late_since is not None:
            since.append(self._late_since)
        return self._clock() - min(since) if since else 0.0

    def problem(self) -> str | None:
        """Return why Kafka seems to take nothing, or None."""
        now, (failed_at, refusal) = self._clock(), self._refusal
        if (waiting := self.waiting) > WAITS_LONG:
            return f"a record has waited {waiting:.0f} s for Kafka's acknowledgment"
        since = self._only_failed_since
        if since is not None and now - since > ONLY_FAILS and now - failed_at < FAILED_LATELY:
            return f"Kafka rejects what is sent: {refusal}"
        return None
