"""`/api/alerts`: an account's alerts, and its alert settings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field

from accounts.checks import KEEP
from bus.clock import now_ms
from console.access.callers import Administrator, Supporter, TheCaller, TheParts
from console.api.lists import ListAnswer, answer
from console.changes.acts import Act
from console.changes.alerts import AlertSettings, audit_test, change, settings_of
from console.http.fields import Body, Item
from console.queries.alerts import AlertsFilter, ToldAlert, alerts
from operations.alerts import muted, send_test, unmuted, with_settings

router = APIRouter(tags=["Alerts"])

_ADDRESS = f"An https URL; `{KEEP}` keeps the stored one, null removes it."


class NewSettings(Body):
    """Settings that replace the existing ones."""

    types: dict[Item, bool] = Field(
        description="Whether to send alerts of these types; other types get their defaults.",
        examples=[{"opt_outs": False}],
    )
    minimum_severity: str = Field(
        description="low, medium, high, or critical: less severe alerts are not sent.", examples=["medium"]
    )
    discord_webhook_url: str | None = Field(default=KEEP, max_length=2_000, description=_ADDRESS)
    slack_webhook_url: str | None = Field(default=KEEP, max_length=2_000, description=_ADDRESS)
    alert_webhook_url: str | None = Field(default=KEEP, max_length=2_000, description=_ADDRESS)
    alert_webhook_secret: str | None = Field(
        default=KEEP,
        max_length=500,
        description=f"Secret that signs alerts sent as JSON; `{KEEP}` keeps the stored one.",
    )


class Mute(Body):
    """How long to send no alerts."""

    duration: str | None = Field(description="30m, 2h, 1d; null ends a mute.", max_length=20, examples=["2h"])


@dataclass(frozen=True, slots=True)
class TriedChannel:
    """A channel's answer to a test: `told`, or a status or error; and the beginning of the answer."""

    channel: str
    end: str
    answer: str


@dataclass(frozen=True, slots=True)
class Trials:
    """Each channel's answer."""

    data: list[TriedChannel]


@router.get("/api/alerts", summary="List alerts")
async def list_alerts(
    wanted: Annotated[AlertsFilter, Query()], parts: TheParts, caller: TheCaller
) -> ListAnswer[ToldAlert]:
    """Alerts that were sent, or the reasons why they were not, newest first."""
    return answer(caller, await parts.reads(alerts, caller.account, wanted))


@router.get("/api/alerts/settings", summary="Show the alert settings")
async def show_settings(parts: TheParts, caller: TheCaller) -> AlertSettings:
    """The enabled alerts and their channels."""
    return settings_of(parts.accounts.accounts[caller.account])


@router.put("/api/alerts/settings", summary="Change the alert settings")
async def put_settings(request: Request, body: NewSettings, parts: TheParts, caller: Administrator) -> AlertSettings:
    """Replace the alert settings. They take effect within about a second."""
    secrets = body.model_dump(exclude={"types", "minimum_severity"})
    changed = partial(with_settings, types=body.types, minimum_severity=body.minimum_severity, secrets=secrets)
    return settings_of(await change(Act(request, parts, caller.principal), caller.account, "alerts.change", changed))


@router.post("/api/alerts/mute", summary="Mute alerts")
async def mute(request: Request, body: Mute, parts: TheParts, caller: Supporter) -> AlertSettings:
    """Send no alerts for a while, or send them again. Muted alerts are still listed."""
    changed = unmuted if body.duration is None else partial(muted, duration=body.duration, now=now_ms())
    return settings_of(await change(Act(request, parts, caller.principal), caller.account, "alerts.mute", changed))


@router.post("/api/alerts/test", summary="Test the channels")
async def try_channels(request: Request, parts: TheParts, caller: Supporter) -> Trials:
    """Send a test alert to every channel and return the answers. Empty if there are no channels."""
    trials = await send_test(parts.accounts.accounts[caller.account], parts.settings)
    await audit_test(Act(request, parts, caller.principal), caller.account, trials)
    return Trials([TriedChannel(trial.channel, trial.end, trial.answer) for trial in trials])
