"""Webhooks of paused endpoints wait in a topic of their own, beside the delay tiers.

From time to time each is looked at: while its endpoint is paused it is written to the end of its partition again, and
nobody else's webhook has to wait for that. Once the endpoint is resumed, they go on to `webhooks_due` at a pace that
leaves room there for the retries of others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bus.clock import Clock
from bus.producer import Addressed, Producer
from bus.settings import BusSettings
from sinks.webhooks.delay_tiers import DelayTier
from sinks.webhooks.retry import Schedule, TaskHeaders, jittered, parked

LOOKS_A_SECOND = 2_500
"""Parked webhooks that are looked at: a million take seven minutes, of the quarter of an hour that they wait."""

RESUMED_A_SECOND = 1_000
"""Webhooks that go on after a pause, of all endpoints together: a fraction of what a sinks process takes from there."""

CHUNK = 250
"""Webhooks between two pauses for breath."""

Stays = Callable[[str, int], bool]
"""Whether the webhook of an endpoint, parked since a time in ms, stays so."""


class ParkedTier(DelayTier):
    """The topic of parked webhooks, as long a wait as the schedule has for them (`retry.parked`)."""

    chunk = CHUNK

    def __init__(
        self, settings: BusSettings, schedule: Schedule, producer: Producer, clock: Clock, stays: Stays
    ) -> None:
        super().__init__(settings.catalogue["webhooks_parked"], settings, producer, clock)
        self._delay_ms = parked(1, schedule).tier.delay_ms
        self._stays = stays

    async def _write(self, records: list[Any]) -> float:
        due = []
        staying: list[Addressed] = []
        now, partitions = self._clock.now_ms(), await self._producer.partitions(self._topic.name)
        for record in records:
            parked_at = TaskHeaders.decode(record.headers).parked_at
            if parked_at is None or not self._stays((record.key or b"").decode("utf-8", "replace"), parked_at):
                due.append(record)
                continue
            due_at = now + jittered(self._delay_ms, record.partition, partitions)
            headers = [(name, value) for name, value in record.headers if name != "due_at"]
            headers.append(("due_at", str(due_at).encode()))
            staying.append(Addressed(self._topic.name, record.value, record.key or b"", headers, record.partition))
        await self._producer.send_all(staying)
        await super()._write(due)
        return (len(records) - len(due)) / LOOKS_A_SECOND + len(due) / RESUMED_A_SECOND
