"""Deliveries: the newest state of each message."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import Field
from sqlalchemy import Connection

from console.queries.filters import ListFilter
from console.queries.paging import Page, newest
from console.queries.rows import PHONE, At, maker
from database.tables import messages
from providers import PROVIDERS


class DeliveriesFilter(ListFilter):
    """Which deliveries."""

    personal = ("number",)

    status: str | None = Field(default=None, max_length=40, examples=["undeliverable"])
    status_detail: str | None = Field(default=None, max_length=100, examples=["REJECTED_ABSENT_SUBSCRIBER"])
    provider: str | None = Field(default=None, max_length=40, examples=["infobip"])
    list_number: str | None = Field(default=None, max_length=40, examples=["+18005551234"])
    number: str | None = Field(default=None, max_length=40, description="The recipient.", examples=["+15551230001"])
    message_id: str | None = Field(default=None, max_length=200, description="The sender's own ID.")
    tag: str | None = Field(
        default=None,
        max_length=200,
        description="Value of the argument `tag` of the message's `unique_args` (TRACKLY_TAG_ARGUMENT names another).",
        examples=["spring"],
    )
    provider_message_id: str | None = Field(default=None, max_length=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The outcome of one message. `status` is `queued` until the first report; `tag` comes from its `unique_args`."""

    message_id: str
    provider: str
    provider_message_id: str
    to: str | None = field(metadata=PHONE)
    list_number: str | None
    status: str
    status_detail: str
    status_class: str
    provider_code: str | None
    final: bool
    part_count: int | None
    registered_at: At | None
    tag: str | None
    updated_at: At


delivery_of = maker(Delivery, to="number")
"""Builds a delivery from a table row."""


def deliveries(connection: Connection, account: str, wanted: DeliveriesFilter) -> Page[Delivery]:
    """Return a page of deliveries. Raises BadCursor."""
    where = wanted.conditions(messages, "updated_at", account)
    if wanted.provider_message_id is not None and wanted.provider is None:
        # The index on provider ids begins with the provider: without this condition, all messages would be scanned.
        where.append(messages.c.provider.in_(sorted(PROVIDERS)))
    few = wanted.message_id is not None or wanted.provider_message_id is not None
    return newest(connection, messages, "updated_at", where, wanted.ask(account), delivery_of, few=few)
