"""Webhooks of paused endpoints wait in a topic of their own, beside the delay tiers.

Each is checked from time to time: while its endpoint is paused, it is rewritten to the end of its partition, so that it
blocks nobody else's. Once the endpoint is resumed, they move to `webhooks_due` at a pace that leaves room there for
others' retries.

An endpoint may be resumed between the checks of two webhooks. If the first went to the end, the second follows it there
and waits for its next turn, so that they keep their order. After a pause of more than one check, those of one contact
may return in another order than they were parked in; their lane restores it (`sinks.webhooks.lane_order`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bus.clock import Clock
from bus.producer import Addressed, Producer
from bus.reading.group import Lost
from bus.settings import BusSettings
from sinks.webhooks.delay_tiers import DelayTier
from sinks.webhooks.retry import Schedule, TaskHeaders, jittered, parked

LOOKS_A_SECOND = 2_500
"""Parked webhooks checked per second: a million take seven minutes of the quarter of an hour that they wait."""

RESUMED_A_SECOND = 1_000
"""Webhooks released per second after a pause, for all endpoints together: a fraction of a sinks process's capacity."""

CHUNK = 250
"""Webhooks between two pauses."""

Stays = Callable[[str, int], bool]
"""Whether an endpoint's webhook, parked since a time in ms, stays parked."""


class ParkedTier(DelayTier):
    """The topic of parked webhooks, with the wait that the schedule gives them (`retry.parked`)."""

    chunk = CHUNK

    def __init__(
        self, settings: BusSettings, schedule: Schedule, producer: Producer, clock: Clock, stays: Stays, lost: Lost
    ) -> None:
        super().__init__(settings.catalogue["webhooks_parked"], settings, producer, clock, lost)
        self._delay_ms = parked(1, schedule).tier.delay_ms
        self._stays = stays
        self._rounds: dict[tuple[int, bytes], int] = {}
        """By partition and endpoint: when the first webhook that went to the end is due again. It comes before those
        that are due earlier by their headers."""

    async def let_go(self, revoked: Iterable[Any]) -> None:
        """Finish the current release and forget the revoked partitions."""
        gone = {tp.partition for tp in revoked}
        await super().let_go(revoked)
        self._rounds = {place: due_at for place, due_at in self._rounds.items() if place[0] not in gone}

    async def _write(self, records: list[Any]) -> float:
        due = []
        staying: list[Addressed] = []
        now, partitions = self._clock.now_ms(), await self._producer.partitions(self._topic.name)
        for record in records:
            if not self._stays_here(record):
                due.append(record)
                continue
            due_at = now + jittered(self._delay_ms, record.partition, partitions)
            self._rounds.setdefault((record.partition, record.key), due_at)
            headers = [(name, value) for name, value in record.headers if name != "due_at"]
            headers.append(("due_at", str(due_at).encode()))
            staying.append(Addressed(self._topic.name, record.value, record.key or b"", headers, record.partition))
        await self._producer.send_all(staying)
        await super()._write(due)
        return (len(records) - len(due)) / LOOKS_A_SECOND + len(due) / RESUMED_A_SECOND

    def _stays_here(self, record: Any) -> bool:
        headers, place = TaskHeaders.decode(record.headers), (record.partition, record.key)
        if headers.parked_at is None:
            return False
        first = self._rounds.get(place)
        if first is not None:
            if (headers.due_at or 0) < first:
                return True
            del self._rounds[place]
        return self._stays((record.key or b"").decode("utf-8", "replace"), headers.parked_at)
