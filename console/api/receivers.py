"""`/api/receivers`: receivers of replies that belong to no list, and adding them to one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from bus.clock import now_ms
from console.access.callers import Administrator, TheCaller, TheParts
from console.api.contact_lists import ListNumber, ShownList, shown_list
from console.changes import lists as changes
from console.changes.acts import Act
from console.http.fields import Provider, StrictBody, Text
from console.parts import Parts
from console.queries.filters import checked_time
from console.queries.receivers import Receiver, receivers_of_no_list

router = APIRouter(tags=["Account"])

Since = Annotated[
    str, Query(max_length=40, description="Seen since this time, or within this duration.", examples=["30d"])
]


class Assigned(StrictBody):
    """A receiver, as in the answer of `/api/receivers`."""

    receiver: Text = Field(examples=["+18885550100"])
    kind: Literal["address", "list_id"] = "address"
    provider: Provider = Field(examples=["twilio"])


@dataclass(frozen=True, slots=True)
class ReceiversAnswer:
    """All of them; those with the most replies come first."""

    data: list[Receiver]


@router.get("/api/receivers", summary="List receivers without a list")
async def get_receivers(parts: TheParts, caller: TheCaller, since: Since = "30d") -> ReceiversAnswer:
    """Receivers of replies and senders of reports that belong to no list. An opt-out to one removes from every list.
    `setting` is the line to add to a list's settings. Counts are by day.
    """
    return ReceiversAnswer(await unassigned(parts, caller.account, since))


@router.post("/api/lists/{number}/receivers", status_code=201, summary="Add a receiver to a list")
async def assign(
    request: Request, response: Response, number: ListNumber, body: Assigned, parts: TheParts, caller: Administrator
) -> ShownList:
    """Add a number or sender, or a provider's ID, to a list. It counts from then on."""
    known = changes.list_named(caller.lists, number)
    made = await changes.assign(Act(request, parts, caller.principal), known, body.receiver, body.kind, body.provider)
    return shown_list(response, caller, made)


async def unassigned(parts: Parts, account: str, since: str) -> list[Receiver]:
    """Return an account's receivers that belong to no list. Raises ApiError 422 for an invalid time."""
    lists = parts.accounts.known_lists(account)
    at = checked_time("since", since, now_ms())
    return await parts.reads(receivers_of_no_list, account, at, lambda _: lists)
