"""`/api/evidence`: everything about one number's consent, signed; and how long removals took to take effect."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from bus.clock import now_ms
from console.access.callers import Supporter, TheCaller, TheParts
from console.changes.acts import Act
from console.changes.evidence import exported
from console.errors import validation_failed
from console.parts import Parts
from console.queries.evidence import TimeToEffect, time_to_effect
from console.queries.filters import checked_time

router = APIRouter(tags=["Contacts"])


class Period(BaseModel):
    """Which time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    account: str | None = Field(
        default=None, max_length=64, description="Account ID. Needed only if you may see several accounts."
    )
    since: str = Field(default="30d", max_length=40, description="Begin at this time, or this long ago.")
    until: str | None = Field(default=None, max_length=40, description="End before this time, or this long ago.")


class Signature(BaseModel):
    """The signature, and who signed. What is signed: the evidence's format, a newline, and the evidence as JSON with
    sorted keys and no spaces."""

    algorithm: str = Field(examples=["Ed25519"])
    key_id: str
    public_key: str
    value: str


class Signed(BaseModel):
    """Evidence and its signature."""

    evidence: dict[str, Any]
    signature: Signature


@router.get("/api/time-to-effect", summary="Show how long removals take to take effect")
async def show_time_to_effect(wanted: Annotated[Period, Query()], parts: TheParts, caller: TheCaller) -> TimeToEffect:
    """Time from the receipt of a callback until the resulting removal was on Kafka: median, 99th percentile,
    maximum.
    """
    return await figures(parts, caller.account, wanted.since, wanted.until)


@router.get("/api/evidence/{number}", summary="Export evidence about a number")
async def export(
    request: Request,
    number: Annotated[str, Path(max_length=40, examples=["+15551230001"])],
    parts: TheParts,
    caller: Supporter,
) -> Signed:
    """Signed evidence about one number.

    Replies, the rules that matched, events, states, commands, and webhooks, in order, each with its position on Kafka
    and its hash. Every export is recorded in the audit log. Verify it with `trackly evidence verify`.
    """
    return Signed(**await exported(Act(request, parts, caller.principal), caller.account, number))


async def figures(parts: Parts, account: str, since: str, until: str | None) -> TimeToEffect:
    """Return an account's figures for a period. Raises ApiError 422, 503."""
    now = now_ms()
    begin, end = checked_time("since", since, now), checked_time("until", until or "0s", now)
    if begin > end:
        raise validation_failed(["since: is after until"])
    return await parts.reads(time_to_effect, account, begin, end)
