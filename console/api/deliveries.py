"""`/api/deliveries`: what became of messages, and the trace of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Query
from sqlalchemy import Connection
from starlette.responses import Response, StreamingResponse

from console.access.callers import Supporter, TheCaller, TheParts
from console.access.csv_export import CSV_RESPONSE, csv_answer
from console.access.visibility import Sight
from console.api.lists import ListAnswer, answer
from console.backends.raw_callbacks import ShownCallback, shown_callback
from console.errors import not_found
from console.parts import Parts
from console.queries.deliveries import DeliveriesFilter, Delivery, deliveries
from console.queries.paging import Page
from console.queries.traces import Trace, trace
from schemas.topics import Catalogue

router = APIRouter(tags=["Messages"])

UNKNOWN_MESSAGE = (
    "This message is not known. It may never have been reported, or its data may have expired. Also check the rejected "
    "payloads and the dead letters."
)


@router.get("/api/deliveries", summary="List deliveries")
async def list_deliveries(
    wanted: Annotated[DeliveriesFilter, Query()], parts: TheParts, caller: TheCaller
) -> ListAnswer[Delivery]:
    """The latest state of each message, last changed first."""
    caller.check_search(wanted)
    return answer(caller, await parts.reads(deliveries_of(parts), caller.account, wanted))


@router.get("/api/deliveries.csv", summary="Export deliveries", responses=CSV_RESPONSE, response_class=Response)
async def export_deliveries(
    wanted: Annotated[DeliveriesFilter, Query()], parts: TheParts, caller: TheCaller
) -> StreamingResponse:
    """The same list as CSV, at most 100,000 rows. A text that a spreadsheet would interpret as a formula starts with
    `'`.
    """
    return await csv_answer(parts.reads, deliveries_of(parts), Delivery, caller, caller.account, wanted, "deliveries")


@router.get("/api/deliveries/{provider}/{provider_message_id:path}", summary="Trace a message")
async def show_trace(
    provider: Annotated[str, Path(max_length=40, examples=["infobip"])],
    provider_message_id: Annotated[str, Path(max_length=255, description="May contain slashes.", examples=["ib-1"])],
    parts: TheParts,
    caller: TheCaller,
) -> Trace:
    """The trace of a message: reports, events, the contact, and every attempt."""
    endpoints = parts.accounts.endpoints_of(caller.account)
    found = await parts.reads(trace, caller.account, provider, provider_message_id, endpoints)
    if found is None:
        raise not_found(UNKNOWN_MESSAGE)
    return shown_trace(caller, found)


@router.get("/api/raw/{topic}/{partition}/{offset}", summary="Show a raw callback")
async def show_raw(
    topic: Annotated[str, Path(max_length=249, examples=[Catalogue()["raw"].name])],
    partition: Annotated[int, Path(ge=0, le=2**31 - 1, examples=[0])],
    offset: Annotated[int, Path(ge=0, le=2**63 - 1, examples=[0])],
    parts: TheParts,
    caller: Supporter,
) -> ShownCallback:
    """A provider's callback as it was received, without credentials. It is read from Kafka, which keeps it for 7
    days."""
    return await shown_callback(parts.raw, caller.account, topic, partition, offset)


def deliveries_of(parts: Parts) -> Callable[[Connection, str, DeliveriesFilter], Page[Delivery]]:
    """Return the query for a page of deliveries, with the tags of this installation."""
    return partial(deliveries, tag_arguments=parts.settings.tag_arguments)


def shown_trace(sight: Sight, found: Trace) -> Trace:
    """Return a trace as the caller may see it."""
    return replace(found, delivery=sight.shown(found.delivery), steps=tuple(map(sight.shown, found.steps)))
