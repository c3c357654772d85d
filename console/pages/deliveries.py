"""Messages > Deliveries, the trace of one message, and the raw callback behind a report."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import model_validator
from starlette.responses import Response

from console.access.callers import TheParts
from console.access.csv_export import csv_answer
from console.api.deliveries import deliveries_of, shown_trace
from console.backends.raw_callbacks import shown_callback
from console.pages.shell import page
from console.pages.visitor import Supporter, TheVisitor
from console.queries.deliveries import STATUSES, DeliveriesFilter, Delivery
from console.queries.traces import trace
from providers import PROVIDERS

router = APIRouter(prefix="/accounts/{account}")

TAG_FIELD = "tag."
"""What the form's fields of tags begin with; the argument's name follows."""


class DeliveriesForm(DeliveriesFilter):
    """The filter as the page's form sends it, with a field for each tag."""

    @model_validator(mode="before")
    @classmethod
    def _with_tags(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        fields = {name: value for name, value in values.items() if not name.startswith(TAG_FIELD)}
        tags = [
            f"{name.removeprefix(TAG_FIELD)}:{each}"
            for name, value in values.items()
            if name not in fields
            for each in (value if isinstance(value, list) else [value])
            if each
        ]
        return {**fields, "tag": [*fields.get("tag", ()), *tags]} if tags else fields


@router.get("/deliveries")
async def list_deliveries(
    request: Request, wanted: Annotated[DeliveriesForm, Query()], parts: TheParts, visitor: TheVisitor
) -> Response:
    """The list with its filters."""
    visitor.check_search(wanted)
    found = await parts.reads(deliveries_of(parts), visitor.account, wanted)
    return page(
        request,
        "deliveries/list.html",
        visitor,
        wanted=wanted,
        found=visitor.page(found),
        statuses=STATUSES,
        tag_arguments=parts.settings.tag_arguments,
        tags=wanted.tags(parts.settings.tag_arguments),
        providers=sorted(PROVIDERS),
    )


@router.get("/deliveries.csv")
async def export_deliveries(
    wanted: Annotated[DeliveriesFilter, Query()], parts: TheParts, visitor: TheVisitor
) -> Response:
    """The list as a file."""
    return await csv_answer(parts.reads, deliveries_of(parts), Delivery, visitor, visitor.account, wanted, "deliveries")


@router.get("/deliveries/{provider}/{provider_message_id:path}")
async def show_trace(
    request: Request, provider: str, provider_message_id: str, parts: TheParts, visitor: TheVisitor
) -> Response:
    """The trace of a message, or advice if there is none."""
    endpoints = parts.accounts.endpoints_of(visitor.account)
    found = await parts.reads(trace, visitor.account, provider, provider_message_id, endpoints)
    if found is None:
        return page(request, "deliveries/unknown.html", visitor, status=404)
    return page(request, "deliveries/trace.html", visitor, found=shown_trace(visitor, found))


@router.get("/raw/{topic}/{partition}/{offset}")
async def show_raw(
    request: Request,
    topic: str,
    partition: Annotated[int, Path(ge=0, lt=2**31)],
    offset: Annotated[int, Path(ge=0, lt=2**63)],
    parts: TheParts,
    visitor: Supporter,
) -> Response:
    """One raw callback. A trace shows it inline; it also has a page of its own."""
    callback = await shown_callback(parts.raw, visitor.account, topic, partition, offset)
    return page(request, "deliveries/raw.html", visitor, callback=callback, place=f"{topic}/{partition}/{offset}")
