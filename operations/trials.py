"""Sends a signed test event to an endpoint, immediately and from this process."""

from __future__ import annotations

import itertools
import socket
import time
from dataclasses import dataclass
from typing import Any

from msgspec.structs import fields

from accounts.secrets import resolve
from bus.clock import now_ms
from outbound.bodies import SHAPES, PublicEvent, body_of, event_name
from outbound.formats import JSON, array_of, content_type, laid_out
from outbound.guard import GuardedResolver, RefusedUrl, check_url
from outbound.outcomes import Outcome
from outbound.redaction import redacted_head, secrets_in, secrets_in_header
from outbound.sender import Sender
from outbound.settings import OutboundSettings
from outbound.signing import Signer, secrets_at
from schemas.ids import random_id
from schemas.records import EndpointConfig

TEST_PREFIX = "evt_test_"
"""Prefix of a test's webhook-id."""

REFUSALS = ("refused_address", "invalid_url")

_TEST_VALUES: dict[str, Any] = {
    "message_id": "test",
    "provider_message_id": "test",
    "provider": "test",
    "to": "+15555550100",
    "phone_number": "+15555550100",
    "list_number": "+18005550100",
    "status": "delivered",
    "status_detail": "DELIVERED_TO_HANDSET",
    "status_class": "delivered",
    "provider_code": None,
    "final": True,
    "body": "This is a test.",
    "keyword": "STOP",
    "reason": "message",
    "part_count": 1,
    "click_id": "test",
    "url": "https://example.com/",
    "payout": "1.00",
    "currency": "USD",
    "network": "test",
    "type": "conversion",
    "external_id": None,
}
"""Field values of a test event. The numbers belong to nobody."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A test that was sent: headers, body, outcome, and duration in seconds.

    `refusal` is why the address may not be called, or what is wrong with its certificate.
    """

    headers: dict[str, str]
    body: bytes
    outcome: Outcome
    seconds: float
    answer: str
    refusal: str | None


def trial_event(event: str, account: str, now: int) -> PublicEvent:
    """Return an event of this name that concerns nobody. Raises KeyError for an unknown name; `now` is in ms."""
    record_type = {shape.event: record for record, shape in SHAPES.items()}[event]
    event_id = random_id(TEST_PREFIX)
    values = _TEST_VALUES | {"event_id": event_id, "account": account, "timestamp": now}
    # Fields that webhooks do not show have defaults.
    shown = {field.name: values[field.name] for field in fields(record_type) if field.name in values}
    record: PublicEvent = record_type(**shown)
    return record


def trial_body(config: EndpointConfig, event: PublicEvent) -> tuple[bytes, str]:
    """Return the body that the endpoint's webhooks have, with its content type: a receiver that reads the test reads
    them too."""
    body = laid_out(config.format, event.event_id, event_name(event), event.timestamp, body_of(event))
    in_batches = config.batch_events > 1
    return (array_of((body,)) if in_batches else body), content_type(config.format, batch=in_batches)


async def send_trial(config: EndpointConfig, event: PublicEvent, settings: OutboundSettings, allow_http: bool) -> Trial:
    """Send a test to an endpoint from this process. Raises SecretMissing.

    The address is checked in the same way as in sinks. `allow_http`: whether the endpoint's account may have http://
    URLs.
    """
    allow_http = allow_http or settings.allow_http
    now = now_ms()
    present, following = secrets_at(config, now)
    secrets = [resolve(present)] + ([] if following is None else [resolve(following)])
    body, kind = trial_body(config, event)
    own = {name: resolve(value) for name, value in config.headers.items()}
    headers = Signer(*secrets).headers(event.event_id, body, now // 1_000)
    if kind != JSON:
        headers["Content-Type"] = kind
    sender = Sender(
        timeout=settings.webhook_timeout,
        allow_http=allow_http,
        allowed=settings.allow_subnets,
        ports=settings.webhook_ports,
    )
    await sender.start()
    try:
        began = time.monotonic()
        outcome = await sender.post(config.url, {**own, **headers}, body)
        seconds = time.monotonic() - began
    finally:
        await sender.stop()
    of_headers = itertools.chain.from_iterable(map(secrets_in_header, own.values()))
    answer = redacted_head(outcome.head, (*secrets, *of_headers, *secrets_in(config.url)))
    refusal = await refusal_of(config.url, settings, allow_http) if outcome.error_class in REFUSALS else None
    return Trial(headers, body, outcome, seconds, answer, refusal or outcome.detail or None)


async def refusal_of(url: str, settings: OutboundSettings, allow_http: bool) -> str | None:
    """Return why webhooks may not go to a URL; None if they may, or if its host cannot be resolved right now."""
    allowed, ports = settings.allow_subnets, settings.webhook_ports
    resolver = GuardedResolver(allowed, ports)
    try:
        target = check_url(url, allow_http=allow_http, allowed=allowed, ports=ports)
        await resolver.resolve(target.raw_host or "", target.port or 0)
    except socket.gaierror:
        return None  # each attempt resolves it again
    except (RefusedUrl, OSError) as error:
        return str(error)
    finally:
        await resolver.close()
    return None
