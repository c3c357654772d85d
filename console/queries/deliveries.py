"""Deliveries: the newest state of each message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from pydantic import Field, StringConstraints
from sqlalchemy import Connection

from console.errors import validation_failed
from console.queries.filters import ListFilter
from console.queries.paging import Page, RowSource, newest
from console.queries.rows import PHONE, At, Tags, maker
from console.queries.tags import each_has, rare_first
from database.bulk import INDEXED_CHARACTERS
from database.tables import message_tags, messages
from database.tags import MOST_TAGS, NAME_CHARACTERS
from providers import PROVIDERS

TAG_CHARACTERS = NAME_CHARACTERS + 1 + INDEXED_CHARACTERS
"""Maximum characters of NAME:VALUE."""


STATUSES = ("queued", "pending", "delivered", "undeliverable", "expired", "rejected")
"""What a message's status may be; `queued` until the first report."""


class DeliveriesFilter(ListFilter):
    """Which deliveries."""

    personal = ("number",)
    known = MappingProxyType({"status": STATUSES})

    status: str | None = Field(default=None, max_length=40, examples=["undeliverable"])
    status_detail: str | None = Field(default=None, max_length=100, examples=["REJECTED_ABSENT_SUBSCRIBER"])
    provider: str | None = Field(default=None, max_length=40, examples=["infobip"])
    list_number: str | None = Field(default=None, max_length=40, examples=["+18005551234"])
    number: str | None = Field(default=None, max_length=40, description="The recipient.", examples=["+15551230001"])
    message_id: str | None = Field(default=None, max_length=200, description="The sender's own ID.")
    tag: tuple[Annotated[str, StringConstraints(max_length=TAG_CHARACTERS)], ...] = Field(
        default=(),
        max_length=MOST_TAGS,
        description="An argument in the message's `unique_args`, as NAME:VALUE, among those that the setting"
        " TRACKLY_TAG_ARGUMENTS names; a VALUE alone is that of the first one. Repeat it for messages with all of"
        " several tags.",
        examples=[["campaign:spring"]],
    )
    provider_message_id: str | None = Field(default=None, max_length=200)

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """Fields that are columns of the table."""
        return tuple(name for name in super().columns() if name != "tag")

    def tags(self, arguments: Sequence[str]) -> dict[str, str]:
        """Return the wanted tags, of these arguments. Raises ApiError 422."""
        found: dict[str, str] = {}
        for text in self.tag:
            name, colon, value = text.partition(":")
            if not colon:
                name, value = arguments[0], text
            if name not in arguments:
                known = ", ".join(arguments)
                raise validation_failed(
                    [f"tag: has an unknown name; write NAME:VALUE with a name of TRACKLY_TAG_ARGUMENTS: {known}"]
                )
            if not 1 <= len(value) <= INDEXED_CHARACTERS:
                raise validation_failed([f"tag: the value of {name} must have 1 to {INDEXED_CHARACTERS} characters"])
            if name in found:
                raise validation_failed([f"tag: names {name} twice, but a message has one value of it"])
            found[name] = value
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The outcome of one message. `status` is `queued` until the first report; `tags` are among its `unique_args`."""

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
    tags: Tags
    updated_at: At


delivery_of = maker(Delivery, to="number")
"""Builds a delivery from a table row."""


def deliveries(
    connection: Connection, account: str, wanted: DeliveriesFilter, tag_arguments: Sequence[str]
) -> Page[Delivery]:
    """Return a page of deliveries. Raises BadCursor, and ApiError 422 for tags of other arguments."""
    where = wanted.conditions(messages, "updated_at", account)
    if wanted.provider_message_id is not None and wanted.provider is None:
        # The index on provider ids begins with the provider: without this condition, all messages would be scanned.
        where.append(messages.c.provider.in_(sorted(PROVIDERS)))
    few = wanted.message_id is not None or wanted.provider_message_id is not None
    tags, by = wanted.tags(tag_arguments), None
    if few or wanted.number is not None:
        where += each_has(tags)
        tags = {}
    for name, value in rare_first(connection, account, tags):
        tag = message_tags.alias().c
        where += [tag.message == messages.c.id, tag.account == account, tag.name == name, tag.value == value]
        if by is None:
            by = tag.updated_at, tag.message
            where += wanted.times(tag.updated_at)
    return newest(connection, RowSource(messages, "updated_at", delivery_of, few, by), where, wanted.ask(account))
