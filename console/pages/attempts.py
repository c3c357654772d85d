"""Attempts to deliver webhooks: the list, and each with a URL of its own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from console.access.callers import TheParts
from console.errors import not_found
from console.http.fields import RowId
from console.pages.shell import page
from console.pages.visitor import TheVisitor
from console.queries.attempts import AttemptsFilter, attempt, event_body, list_attempts
from operations.replays import EVENTS
from outbound.outcomes import ANSWERED, ERROR_CLASSES, meaning_of

router = APIRouter(prefix="/accounts/{account}/attempts")

OUTCOMES = ("2xx", "3xx", "4xx", "5xx", *(name for name in ERROR_CLASSES if name not in ANSWERED))
"""Possible outcomes of an attempt, as in `outbound.outcomes.Outcome.label`."""


@router.get("")
async def show_attempts(
    request: Request, wanted: Annotated[AttemptsFilter, Query()], parts: TheParts, visitor: TheVisitor
) -> Response:
    """The list with its filters."""
    found = await parts.reads(list_attempts, visitor.account, wanted)
    return page(
        request,
        "attempts/list.html",
        visitor,
        wanted=wanted,
        found=visitor.page(found),
        outcomes=OUTCOMES,
        events=EVENTS,
    )


@router.get("/{attempt_id}")
async def show_attempt(request: Request, attempt_id: RowId, parts: TheParts, visitor: TheVisitor) -> Response:
    """One attempt: where it went, its outcome, and what that means."""
    found = await parts.reads(attempt, visitor.account, attempt_id)
    if found is None:
        raise not_found("There is no such attempt. Attempts are kept for a limited time.")
    meaning = meaning_of(found.error_class, found.status)
    body = await parts.reads(event_body, visitor.account, found.event_id) if visitor.sees_numbers else None
    can_repeat = f"{visitor.account}/{found.endpoint}" in parts.accounts.endpoints
    return page(
        request,
        "attempts/detail.html",
        visitor,
        attempt=visitor.shown(found),
        meaning=meaning,
        body=body,
        can_repeat=can_repeat,
    )
