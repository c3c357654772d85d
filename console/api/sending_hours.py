"""`/api/account/sending-hours`: when an account texts."""

from __future__ import annotations

from typing import Self

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field

from accounts.sending_hours import FIELDS
from console.access.callers import Administrator, TheCaller, TheParts
from console.changes.acts import Act
from console.changes.sending_hours import change
from console.changes.settings import etag_of
from console.http.fields import IfMatch, Item, StrictBody
from hours.policy import BY_NUMBER, CLOSED, MOST_CAP
from schemas.records import AccountConfig

router = APIRouter(tags=["Account"])


class SendingHours(StrictBody):
    """When an account texts, as in `[accounts.sending_hours]` of a settings file. If nothing is set: at any time."""

    model_config = ConfigDict(extra="forbid", strict=True, serialize_by_alias=True)

    rules: list[Item] = Field(
        default=[], max_length=200, description="Sets of rules, and single rules.", examples=[["us", "us-wa"]]
    )
    from_: str | None = Field(
        default=None,
        max_length=5,
        alias="from",
        description="The account's own hours, in the contact's time zone and in every country: begin.",
        examples=["09:00"],
    )
    to: str | None = Field(
        default=None, max_length=5, description="End of these hours; 24:00 is midnight.", examples=["20:00"]
    )
    days: list[Item] = Field(
        default=[],
        max_length=7,
        description="Weekdays of these hours, or ranges of weekdays; empty: every day.",
        examples=[["mon-sat"]],
    )
    zones: str = Field(
        default=BY_NUMBER,
        max_length=20,
        description=(
            "Where a contact is assumed to be: `number`, in the area of its prefix; `country`, anywhere in its country."
        ),
    )
    without_zone: str = Field(
        default=CLOSED,
        max_length=64,
        description="For numbers without a time zone: `closed`, `open`, or the zone to use.",
    )
    cap: int | None = Field(
        default=None, ge=1, le=MOST_CAP, description="Maximum messages to a contact in 24 hours; null: no limit."
    )
    rule_caps: bool = Field(default=False, description="Whether the caps of the rules apply too.")
    keep_answers: bool = Field(
        default=False,
        description="Whether answers to checks are kept as evidence, each stored on Kafka before it is given.",
    )

    @classmethod
    def of(cls, account: AccountConfig) -> Self:
        """The settings of an account."""
        values = {name: getattr(account, field) for name, field in FIELDS.items()}
        lists = {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
        return cls.model_validate(values | lists)


@router.get("/api/account/sending-hours", summary="Show when the account texts")
async def get_sending_hours(response: Response, parts: TheParts, caller: TheCaller) -> SendingHours:
    """The account's rules, own hours, and caps. Send the ETag in `If-Match` when you change them."""
    return _shown(response, parts.accounts.accounts[caller.account])


@router.put("/api/account/sending-hours", summary="Change when the account texts")
async def put_sending_hours(
    request: Request,
    response: Response,
    body: SendingHours,
    parts: TheParts,
    caller: Administrator,
    if_match: IfMatch = None,
) -> SendingHours:
    """Replace all of them; missing settings get their defaults. Checks use them at once."""
    values = body.model_dump(exclude_none=True)
    made = await change(Act(request, parts, caller.principal), caller.account, values, if_match)
    return _shown(response, made)


def _shown(response: Response, account: AccountConfig) -> SendingHours:
    response.headers["ETag"] = etag_of(account, FIELDS.values())
    return SendingHours.of(account)
