"""Settings > Alerts."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import Response

from accounts.alerts import CHANNELS, SEVERITIES, TYPES
from accounts.checks import KEEP
from bus.clock import now_ms
from console.access.callers import TheParts
from console.changes.acts import Act
from console.changes.alerts import audit_test, change, settings_of
from console.errors import ApiError
from console.pages.shell import done, page
from console.pages.visitor import Administrator, Supporter, TheVisitor, Visitor
from console.queries.alerts import AlertsFilter, alerts
from operations.alerts import muted, send_test, unmuted, with_settings

router = APIRouter(prefix="/accounts/{account}/alerts")

Address = Annotated[str, Form(max_length=2_000)]

MUTES = {"30m": "30 minutes", "2h": "2 hours", "1d": "1 day"}
OUTCOMES = {"told": "sent", "muted": "muted", "no_channel": "no channel", "given_up": "given up"}
"""Outcomes of an alert, and their names on the page."""

SECRETS = (*CHANNELS.values(), "alert_webhook_secret")


def _secrets(
    discord_webhook_url: Address = "",
    slack_webhook_url: Address = "",
    alert_webhook_url: Address = "",
    alert_webhook_secret: Address = "",
    remove: Annotated[list[str], Form()] = [],  # noqa: B006
) -> dict[str, str | None]:
    """Return the form's addresses and their secret. One left empty stays, unless its removal is ticked."""
    given = (discord_webhook_url, slack_webhook_url, alert_webhook_url, alert_webhook_secret)
    return {name: None if name in remove else value or KEEP for name, value in zip(SECRETS, given, strict=True)}


Secrets = Annotated[dict[str, str | None], Depends(_secrets)]


@router.get("")
async def list_alerts(
    request: Request, wanted: Annotated[AlertsFilter, Query()], parts: TheParts, visitor: TheVisitor
) -> Response:
    """Alerts that were sent, and the settings."""
    return await _page(request, wanted, parts, visitor)


@router.post("/settings")
async def change_settings(
    request: Request,
    parts: TheParts,
    visitor: Administrator,
    secrets: Secrets,
    told: Annotated[list[str], Form()] = [],  # noqa: B006
    minimum_severity: Annotated[str, Form(max_length=20)] = "low",
) -> Response:
    """Replace the settings."""
    changed = partial(
        with_settings,
        types={name: name in told for name in TYPES},
        minimum_severity=minimum_severity,
        secrets=secrets,
    )
    try:
        await change(Act(request, parts, visitor.principal), visitor.account, "alerts.change", changed)
    except ApiError as error:
        return await _page(request, AlertsFilter(), parts, visitor, error=error, told=told)
    return done(visitor, "/alerts", "saved")


@router.post("/mute")
async def mute(
    request: Request, parts: TheParts, visitor: Supporter, duration: Annotated[str, Form(max_length=20)] = ""
) -> Response:
    """Mute alerts for a while or, without a duration, unmute them."""
    changed = partial(muted, duration=duration, now=now_ms()) if duration else unmuted
    await change(Act(request, parts, visitor.principal), visitor.account, "alerts.mute", changed)
    return done(visitor, "/alerts", "muted" if duration else "saved")


@router.post("/test")
async def try_channels(request: Request, parts: TheParts, visitor: Supporter) -> Response:
    """Send a test to every channel, and show what each answers."""
    trials = await send_test(parts.accounts.accounts[visitor.account], parts.settings)
    await audit_test(Act(request, parts, visitor.principal), visitor.account, trials)
    return await _page(request, AlertsFilter(), parts, visitor, trials)


async def _page(
    request: Request,
    wanted: AlertsFilter,
    parts: TheParts,
    visitor: Visitor,
    trials: object = None,
    error: ApiError | None = None,
    told: Collection[str] | None = None,
) -> Response:
    """Return the page; `told` are the types ticked in a form with a mistake."""
    settings = settings_of(parts.accounts.accounts[visitor.account])
    return page(
        request,
        "alerts/list.html",
        visitor,
        200 if error is None else error.status,
        wanted=wanted,
        found=visitor.page(await parts.reads(alerts, visitor.account, wanted)),
        settings=settings,
        trials=trials,
        error=error,
        told=[name for name, on in settings.types.items() if on] if told is None else told,
        types=TYPES,
        severities=SEVERITIES,
        outcomes=OUTCOMES,
        mutes=MUTES,
        channels=CHANNELS,
    )
