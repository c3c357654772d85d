"""`/api/codes`: failure codes, and the effects that an account gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field

from accounts.checks import CLASSES
from bus.clock import now_ms
from console.access.callers import Administrator, TheCaller, TheParts
from console.changes.accounts import set_code_class
from console.changes.acts import Act
from console.http.fields import StrictBody, Text
from console.parts import Parts
from console.queries.codes import Code, codes_of_failures
from console.queries.filters import checked_time

router = APIRouter(tags=["Providers"])

Since = Annotated[
    str, Query(max_length=40, description="Failures since this time, or within this duration.", examples=["24h"])
]


class CodeClass(StrictBody):
    """A code's effect on contacts; null restores the default of the tables."""

    code: Text = Field(
        description="Provider, space, code, as in the answer of `/api/codes`.", examples=["twilio 30500"]
    )
    status_class: Text | None = Field(description=f"One of {', '.join(CLASSES)}.", examples=["neutral"])


@dataclass(frozen=True, slots=True)
class CodesAnswer:
    """Codes, those in no table first; and the classes that the account has set, by code."""

    data: list[Code]
    own: Mapping[str, str]


@router.get("/api/codes", summary="List failure codes")
async def get_codes(
    parts: TheParts,
    caller: TheCaller,
    since: Since = "24h",
    known: Annotated[bool, Query(description="Include codes that are in a table.")] = False,
) -> CodesAnswer:
    """Failure codes that were reported, how often each came, and what it did to contacts. An unknown code has no
    effect if its range means the sender's, the account's, or the provider's fault; any other counts as a failure.
    """
    return await codes_seen(parts, caller.account, since, known)


@router.put("/api/codes", summary="Give a code another class")
async def put_code(request: Request, body: CodeClass, parts: TheParts, caller: Administrator) -> CodeClass:
    """Set what a code does to the account's contacts, for reports that are read from then on."""
    await set_code_class(Act(request, parts, caller.principal), caller.account, body.code, body.status_class)
    return body


async def codes_seen(parts: Parts, account: str, since: str, known: bool) -> CodesAnswer:
    """Return an account's failure codes. Raises ApiError 422 for an invalid time."""
    found = await parts.reads(codes_of_failures, account, checked_time("since", since, now_ms()))
    own = parts.accounts.accounts[account].code_classes
    return CodesAnswer([each for each in found if known or not each.is_known], dict(own))
