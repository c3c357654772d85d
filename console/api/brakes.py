"""`/api/brakes`: removals that brakes hold, and an admin's decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Request

from console.access.callers import Administrator, Caller, IdempotencyKey, TheCaller, TheParts, accept
from console.api.lists import ListAnswer
from console.changes.acts import Act
from console.changes.brakes import decide
from console.parts import Parts
from console.queries.brakes import HeldList, held_lists
from schemas.cloudevents import iso_time
from schemas.records import CONFIRM, RELEASE

router = APIRouter(tags=["Contacts"])

ListNumber = Annotated[
    str, Path(max_length=40, description="The list's number; `all`: every list.", examples=["+18005551234"])
]


@dataclass(frozen=True, slots=True)
class Decided:
    """The decision is on Kafka; it is carried out in batches, within seconds or minutes."""

    accepted_at: str


@router.get("/api/brakes", summary="List held removals")
async def get_held(parts: TheParts, caller: TheCaller) -> ListAnswer[HeldList]:
    """The lists with held removals, on one page; a moment behind. Do not text held contacts."""
    return ListAnswer(await parts.reads(held_lists, caller.account), None)


@router.post("/api/brakes/{list_number}/confirm", status_code=202, summary="Confirm held removals")
async def confirm(
    request: Request,
    list_number: ListNumber,
    parts: TheParts,
    caller: Administrator,
    idempotency_key: IdempotencyKey = None,
) -> Decided:
    """Remove the list's held contacts as the rules would have, and notify customers. The hour's count starts over."""
    return await _decide(request, list_number, parts, caller, idempotency_key, CONFIRM)


@router.post("/api/brakes/{list_number}/release", status_code=202, summary="Release held removals")
async def release(
    request: Request,
    list_number: ListNumber,
    parts: TheParts,
    caller: Administrator,
    idempotency_key: IdempotencyKey = None,
) -> Decided:
    """Release the list's held contacts: they may be texted again, and their failure counts start over. Fix the cause
    first, or further removals are held again.
    """
    return await _decide(request, list_number, parts, caller, idempotency_key, RELEASE)


async def _decide(
    request: Request, list_number: str, parts: Parts, caller: Caller, idempotency_key: str | None, command: str
) -> Decided:
    accepted = await accept(request, parts, caller, idempotency_key)
    await decide(Act(request, parts, caller.principal), caller.account, caller.lists, list_number, command, accepted)
    return Decided(iso_time(accepted.at))
