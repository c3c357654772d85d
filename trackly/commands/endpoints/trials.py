"""`trackly endpoints test` and `attempts`: an endpoint's answers, now and recently."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from accounts.secrets import SecretMissing
from accounts.urls import POLL
from bus.clock import now_ms
from operations.trials import REFUSALS, Trial, send_trial, trial_event
from outbound.bodies import SHAPES
from outbound.settings import OutboundSettings
from schemas.records import EndpointConfig, WebhookAttempt
from sinks.webhooks.fanout import may_use_http
from trackly.decoding import time_text
from trackly.errors import Failed
from trackly.listing import Limit, Since, newest, print_newest
from trackly.output import Json, json_line, say, show
from trackly.reading import current_accounts
from trackly.writing import endpoint_named

Endpoint = Annotated[str, typer.Argument(metavar="ACCOUNT/ENDPOINT", help="The endpoint: acme/crm.")]


def try_endpoint(
    endpoint: Endpoint,
    event: Annotated[str, typer.Option(help="The event to send.")] = "delivery",
    as_json: Json = False,
) -> None:
    """Send a signed test event to an endpoint from here, and show the answer.

    Its webhook-id starts with evt_test_. The address is checked as sinks would check it, with this command's settings,
    such as TRACKLY_ALLOW_SUBNETS. Exit code 1 unless the answer is 2xx.
    """
    view = current_accounts()
    config = endpoint_named(view, endpoint)
    if config.url == POLL:
        raise Failed(f"Nothing is sent to {endpoint}: its receiver polls for its events.")
    try:
        sent = trial_event(event, config.account, now_ms())
    except KeyError:
        known = ", ".join(shape.event for shape in SHAPES.values())
        raise typer.BadParameter(f"{event!r} is not one of {known}", param_hint="--event") from None
    try:
        trial = asyncio.run(send_trial(config, sent, OutboundSettings(), may_use_http(config.account, view)))
    except SecretMissing as missing:
        raise Failed(f"{endpoint}: {missing}.") from None
    _show(config, trial, as_json)
    if not trial.outcome.ok:
        raise typer.Exit(1)


def list_attempts(
    endpoint: Endpoint,
    since: Since = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only attempts that were not answered 2xx.")] = False,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List the attempts to deliver webhooks to an endpoint, newest last: status or error, time, answer."""
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
        say(f"This counts as a failure: {trial.refusal or outcome.meaning}.")
    if outcome.error_class in REFUSALS:
        say("This command judged by its own TRACKLY_ALLOW_HTTP, TRACKLY_ALLOW_SUBNETS and TRACKLY_WEBHOOK_PORTS.")
    say(f"webhook-signature signs `{trial.headers['webhook-id']}.{trial.headers['webhook-timestamp']}.` and the body.")
