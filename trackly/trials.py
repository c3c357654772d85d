"""`trackly endpoints test` and `attempts`: what an endpoint answers, now and lately."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, fields
from typing import Annotated, Any

import typer

from accounts.secrets import SecretMissing, resolve
from schemas.ids import random_id
from schemas.records import EndpointConfig, WebhookAttempt
from sinks.bodies import SHAPES, PublicEvent, body_of
from sinks.fanout import may_use_http
from sinks.guard import GuardedResolver, RefusedUrl, check_url
from sinks.redaction import redacted_head
from sinks.retry import ERROR_CLASSES, Outcome
from sinks.sender import Sender
from sinks.settings import SinksSettings
from sinks.signing import Signer, secrets_at
from trackly.decoding import time_text
from trackly.errors import Failed
from trackly.listing import Limit, Since, newest, print_newest
from trackly.output import Json, json_line, say, show
from trackly.reading import current_accounts
from trackly.writing import endpoint_named

Endpoint = Annotated[str, typer.Argument(metavar="ACCOUNT/ENDPOINT", help="The endpoint: acme/crm.")]

TEST_PREFIX = "evt_test_"
"""What the webhook-id of a test begins with."""

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
"""Values of the fields of a test's event. The numbers belong to nobody."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A test that was sent: its headers and body, how it ended, and the seconds that it took.

    `refusal` is why the address may not be called, where that is so.
    """

    headers: dict[str, str]
    body: bytes
    outcome: Outcome
    seconds: float
    answer: str
    refusal: str | None


def trial_event(event: str, account: str, now: int) -> PublicEvent:
    """An event of this name that is about nobody. Raises KeyError for a name that is none; `now` is in ms."""
    record_type = {shape.event: record for record, shape in SHAPES.items()}[event]
    event_id = random_id(TEST_PREFIX)
    values = _TEST_VALUES | {"event_id": event_id, "account": account, "timestamp": now}
    record: PublicEvent = record_type(**{field.name: values[field.name] for field in fields(record_type)})
    return record


def try_endpoint(
    endpoint: Endpoint,
    event: Annotated[str, typer.Option(help="What kind of event is sent.")] = "delivery",
    as_json: Json = False,
) -> None:
    """Send a signed test event to an endpoint from here, and show what it answers.

    Its webhook-id begins with evt_test_. The address is checked as sinks check it, with the settings of this command:
    TRACKLY_ALLOW_SUBNETS and the like. Exit code 1 unless the answer is 2xx.
    """
    view = current_accounts()
    config = endpoint_named(view, endpoint)
    settings = SinksSettings()
    allow_http = settings.allow_http or may_use_http(config.account, view)
    try:
        sent = trial_event(event, config.account, time.time_ns() // 1_000_000)
    except KeyError:
        known = ", ".join(shape.event for shape in SHAPES.values())
        raise typer.BadParameter(f"{event!r} is none of {known}", param_hint="--event") from None
    try:
        trial = asyncio.run(_try(config, sent, settings, allow_http))
    except SecretMissing as missing:
        raise Failed(f"{endpoint}: {missing}.") from None
    _show(config, trial, as_json)
    if not trial.outcome.ok:
        raise typer.Exit(1)


def list_attempts(
    endpoint: Endpoint,
    since: Since = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that were not answered 2xx.")] = False,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List the attempts to deliver to an endpoint, the newest last: status or error, time, answer."""
    endpoint_named(current_accounts(), endpoint)

    def is_wanted(record: Any) -> bool:
        return bool(record.endpoint == endpoint) and not (failed and record.error_class is None)

    found = asyncio.run(newest("webhooks_attempts", WebhookAttempt, "at", is_wanted, since, limit))
    print_newest(
        found,
        as_json,
        ("at", "event", "webhook-id", "attempt", "status", "error", "ms", "answer"),
        lambda r: (
            str(time_text(r.at)),
            r.event,
            r.event_id,
            str(r.attempt),
            "" if r.status is None else str(r.status),
            r.error_class or "",
            str(r.latency_ms),
            r.response_head[:60],
        ),
    )


async def _try(config: EndpointConfig, event: PublicEvent, settings: SinksSettings, allow_http: bool) -> Trial:
    now = time.time_ns() // 1_000_000
    present, following = secrets_at(config, now)
    secrets = [resolve(present)] + ([] if following is None else [resolve(following)])
    body = body_of(event)
    own = {name: resolve(value) for name, value in config.headers.items()}
    headers = Signer(*secrets).headers(event.event_id, body, now // 1_000)
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
    answer = redacted_head(outcome.head, (*secrets, *own.values()))
    refusal = await _refusal(config.url, settings, allow_http) if outcome.error_class in REFUSALS else None
    return Trial(headers, body, outcome, seconds, answer, refusal)


async def _refusal(url: str, settings: SinksSettings, allow_http: bool) -> str | None:
    """Why webhooks may not go to a URL."""
    allowed, ports = settings.allow_subnets, settings.webhook_ports
    resolver = GuardedResolver(allowed, ports)
    try:
        target = check_url(url, allow_http=allow_http, allowed=allowed, ports=ports)
        await resolver.resolve(target.raw_host or "", target.port or 0)
    except (RefusedUrl, OSError) as error:
        return str(error)
    finally:
        await resolver.close()
    return None


def _show(config: EndpointConfig, trial: Trial, as_json: bool) -> None:
    outcome = trial.outcome
    if as_json:
        json_line(
            {
                "url": config.url,
                "headers": trial.headers,
                "body": trial.body.decode(),
                "status": outcome.status,
                "error_class": outcome.error_class,
                "ms": round(trial.seconds * 1000),
                "answer": trial.answer,
                "refusal": trial.refusal,
            }
        )
        return
    show(f"POST {config.url}")
    for name, value in trial.headers.items():
        show(f"{name}: {value}")
    show("")
    show(trial.body.decode())
    show("")
    end = f"status {outcome.status}" if outcome.status is not None else f"no answer: {outcome.error_class}"
    show(f"{end} after {trial.seconds * 1000:.0f} ms")
    if trial.answer:
        show(trial.answer)
    if outcome.error_class is not None:
        say(f"This counts as failed: {trial.refusal or ERROR_CLASSES[outcome.error_class].meaning}.")
    say(f"webhook-signature signs `{trial.headers['webhook-id']}.{trial.headers['webhook-timestamp']}.` and the body.")
