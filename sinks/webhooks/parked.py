"""Webhooks of paused endpoints wait in a topic of their own, beside the delay tiers.

Each is checked from time to time: while its endpoint is paused, it is rewritten to the end of its partition, so that it
blocks nobody else's. Once the endpoint is resumed, they move to `webhooks_due` at a pace that leaves room there for
others' retries.
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
