"""`POST /api/messages`: a sender registers the messages that it handed to a provider."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field, StrictInt, StringConstraints

from accounts.lists import list_in
from bus.clock import now_ms
from console.access.callers import Caller, IdempotencyKey, Supporter, TheParts, accept
from console.api.places import place_entries
from console.backends.idempotency import Accepted
from console.backends.kafka_writer import Entry
from console.errors import validation_failed
from console.http.fields import MAX_BATCH, Body, Number, Provider, State, Text, Time, TimeZone, WebAddress, examples
from schemas.cloudevents import iso_time
from schemas.ids import recipient_key
from schemas.records import Link, MessageSent

CLOCK_SKEW_MS = 5 * 60_000
"""How far a sender's clock may be ahead of ours."""

ARGUMENTS = 50
"""Maximum arguments and links of a message. With their maximum lengths, a record stays below Kafka's 1 MiB."""

router = APIRouter(tags=["Sending"])


class TransactionalCallback(Body):
    """URLs for the transactional callbacks of a message."""

    url: WebAddress = examples("https://shop.example.com/sms-callbacks")


class TrackedLink(Body):
    """A tracked link in a message."""

    click_id: Text = examples("c-81")
    url: WebAddress = examples("https://shop.example.com/sale")


class Message(Body):
    """A message that was handed to a provider."""

    message_id: Text = Field(description="Your own ID of the message.", examples=["order-4711"])
    provider: Provider = examples("infobip")
    provider_message_id: Text = Field(description="The provider's ID, by which reports are matched.", examples=["ib-1"])
    list_number: Number = Field(description="The list that it was sent from.", examples=["+18005551234"])
    to: Number = Field(description="The recipient.", examples=["+15551230001"])
    part_count: StrictInt | None = Field(default=None, ge=1, le=255, description="Parts (segments) of the message.")
    unique_args: dict[
        Annotated[str, StringConstraints(min_length=1, max_length=100)],
        Annotated[str, StringConstraints(max_length=1_000)],
    ] = Field(default={}, max_length=ARGUMENTS, description="Comes back as `uniqueArgs` in transactional callbacks.")
    callback: TransactionalCallback | None = None
    links: list[TrackedLink] = Field(default=[], max_length=ARGUMENTS)
    time_zone: TimeZone | None = Field(
        default=None, description="The recipient's time zone, if you know it.", examples=["America/New_York"]
    )
    state: State | None = Field(
        default=None,
        description="The U.S. state in the recipient's postal address, if you know it.",
        examples=["NY"],
    )
    sent_at: Time | None = Field(
        default=None,
        description="When it was sent, with a time zone; by default now.",
        examples=["2026-11-20T10:15:00.000Z"],
    )


class Messages(Body):
    """A batch of messages."""

    messages: list[Message] = Field(min_length=1, max_length=MAX_BATCH)


class Registered(Body):
    """The accepted messages: all are on Kafka, acknowledged by all in-sync replicas."""

    accepted: int = Field(description="Number of messages.", examples=[1])
    accepted_at: str = examples("2026-11-20T10:15:01.120Z")


@router.post("/api/messages", status_code=202, summary="Register sent messages")
async def register(
    request: Request, body: Messages, parts: TheParts, caller: Supporter, idempotency_key: IdempotencyKey = None
) -> Registered:
    """Register 1 to 1,000 messages, all or none.

    Reports that come before or after are matched by the provider's ID. Registering a message twice is harmless:
    provider and provider_message_id identify it, and the later registration replaces the earlier one.
    """
    problems = list(_problems(body.messages, caller))
    if problems:
        raise validation_failed(problems)
    accepted = await accept(request, parts, caller, idempotency_key)
    known = [(each.to, each.time_zone, each.state) for each in body.messages if each.time_zone or each.state]
    if known:
        await parts.writer.write("places", place_entries(caller, known, accepted))
    await parts.writer.write(
        "messages", [_entry(message, caller, accepted, index) for index, message in enumerate(body.messages)]
    )
    return Registered(accepted=len(body.messages), accepted_at=iso_time(accepted.at))


def _problems(messages: list[Message], caller: Caller) -> list[str]:
    latest = now_ms() + CLOCK_SKEW_MS
    problems = []
    for index, message in enumerate(messages):
        if list_in(caller.lists, message.list_number) is None:
            problems.append(f"messages[{index}].list_number: is not a list in account {caller.account}")
        if message.sent_at is not None and not 0 <= message.sent_at.timestamp() * 1000 <= latest:
            problems.append(f"messages[{index}].sent_at: is in the future, or before 1970")
    return problems


def _entry(message: Message, caller: Caller, accepted: Accepted, index: int) -> Entry:
    record = MessageSent(
        message_id=message.message_id,
        account=caller.account,
        provider=message.provider,
        provider_message_id=message.provider_message_id,
        list_number=message.list_number,
        to=message.to,
        part_count=message.part_count,
        unique_args=message.unique_args,
        callback_url=None if message.callback is None else message.callback.url,
        links=tuple(Link(link.click_id, link.url) for link in message.links),
        sent_at=accepted.at if message.sent_at is None else int(message.sent_at.timestamp() * 1000),
    )
    return Entry(recipient_key(caller.account, message.to), record, accepted.event_id(index), accepted.at)
