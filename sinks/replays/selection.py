"""Selects and builds the webhooks of a replay, from events or from dead letters. Pure.

A replayed webhook has the event's id, which is the webhook-id of every attempt, and a retry's body and content type:
for an endpoint with several events per request, an array of one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from operations.replays import EVENTS
from outbound.bodies import PublicEvent, body_of, contact_of, event_name, list_of
from outbound.formats import JSON, array_of, content_type, laid_out
from schemas.records import DeadWebhook, EndpointConfig, Record, ReplayCommand, WebhookTask


def topics_of(command: ReplayCommand, endpoint: EndpointConfig) -> tuple[str, ...]:
    """Return the topics (catalogue short names) that a replay reads."""
    if command.outcome == "dead":
        return ("webhooks_dead",)
    wanted = command.events or endpoint.events
    return tuple(event for event in EVENTS if event in wanted)


@dataclass(frozen=True, slots=True)
class Selection:
    """The selection of one replay. `failed`: ids never accepted according to the log of attempts; None for any."""

    command: ReplayCommand
    endpoint: EndpointConfig
    failed: Collection[str] | None = None

    def may_hold(self, topic: str, key: bytes | None) -> bool:
        """Whether a record with this key may be wanted, by the topic's short name: cheaper than decoding it."""
        if topic == "webhooks_dead":
            return key == self.command.endpoint.encode()
        # A conversion of an unregistered click is keyed by click id.
        return topic == "conversion" or key is None or key.startswith(f"{self.endpoint.account}:".encode())

    def task_of(self, record: Record) -> WebhookTask | None:
        """Return a record's webhook, or None if it is not wanted."""
        if isinstance(record, DeadWebhook):
            return self._dead(record)
        return self._event(record) if isinstance(record, PublicEvent) else None

    def _dead(self, record: DeadWebhook) -> WebhookTask | None:
        if record.endpoint != self.command.endpoint or not self._is_wanted(record.event_id, record.event):
            return None
        return WebhookTask(
            record.endpoint,
            record.event_id,
            record.event,
            record.body,
            record.url,
            record.contact,
            record.content_type,
        )

    def _event(self, record: PublicEvent) -> WebhookTask | None:
        event, lists = event_name(record), self.endpoint.lists
        if record.account != self.endpoint.account or (lists and list_of(record) not in lists):
            return None
        if not self._is_wanted(record.event_id, event) or event not in (self.command.events or self.endpoint.events):
            return None
        layout, batch = self.endpoint.format, self.endpoint.batch_events > 1
        kind = content_type(layout, batch=batch)
        body = laid_out(layout, record.event_id, event, record.timestamp, body_of(record))
        return WebhookTask(
            self.command.endpoint,
            record.event_id,
            event,
            array_of((body,)) if batch else body,
            contact=contact_of(record),
            content_type=None if kind == JSON else kind,
            list_number=list_of(record) if list_of(record) in self.endpoint.list_rate_limits else None,
        )

    def _is_wanted(self, event_id: str, event: str) -> bool:
        return (
            (not self.command.event_ids or event_id in self.command.event_ids)
            and (not self.command.events or event in self.command.events)
            and (self.failed is None or event_id in self.failed)
        )
