"""`/api/contacts`: remove and restore contacts, and ask who may be texted."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from pydantic import Field

from console.audit import caller_ip
from console.callers import Caller, IdempotencyKey, Parts, Supporter, TheParts, accept
from console.contact_orders import order
from console.contacts_view import ContactsView
from console.errors import not_available, not_found, validation_failed
from console.fields import MAX_BATCH, Body, Number, Text, examples, number
from schemas.cloudevents import iso_time
from schemas.codec import CodecError

Reason = Literal["message", "manual", "complaint", "bad_response", "invalid_contact"]

router = APIRouter()


class Contacts(Body):
    """Contacts of one list."""

    list_number: Number = Field(description="The list: the number that you text from.", examples=["+18005551234"])
    numbers: list[Number] = Field(min_length=1, max_length=MAX_BATCH, examples=[["+15551230001"]])


class Removal(Contacts):
    """Contacts of one list that must not be texted again."""

    reason: Reason = Field(default="manual", description="Why. A restore undoes every reason, START only `message`.")


class Question(Body):
    """Numbers of one list that are about to be texted."""

    list_number: Text = examples("+18005551234")
    numbers: list[Annotated[str, Field(max_length=200)]] = Field(
        min_length=1, max_length=MAX_BATCH, examples=[["+15551230001", "15551230002"]]
    )


class Ordered(Body):
    """What was taken: the orders are on Kafka, acknowledged by all in-sync replicas."""

    accepted: int = Field(description="How many contacts.", examples=[1])
    accepted_at: str = Field(
        description="A check whose `as_of` is later shows what became of it.", examples=["2026-11-20T10:15:01.120Z"]
    )


class Answer(Body):
    """Whether one number may be texted."""

    number: str = Field(description="E.164; what is no number stays as it was sent.", examples=["+15551230001"])
    may_be_texted: bool
    reason: str | None = Field(default=None, description="Why not.", examples=["message"])
    since: str | None = Field(default=None, description="Since when, by the clock of who reported it.")
    failures: int = Field(default=0, description="Messages in a row that failed.")
    code: Literal["invalid_number", "unknown_list", "unreadable_state"] | None = Field(
        default=None, description="Why nothing is known about it."
    )


class Contact(Answer):
    """Whether one contact may be texted, and up to when that is known."""

    list_number: str = examples("+18005551234")
    as_of: str = examples("2026-11-20T10:15:00.000Z")


class Answers(Body):
    """An answer for each number, in the order of the question."""

    list_number: str = examples("+18005551234")
    as_of: str = Field(
        description="Everything that was acknowledged before this time is in the answers.",
        examples=["2026-11-20T10:15:00.000Z"],
    )
    contacts: list[Answer]


@router.post("/api/contacts/remove", status_code=202, summary="Remove contacts")
async def remove(
    request: Request, body: Removal, parts: TheParts, caller: Supporter, idempotency_key: IdempotencyKey = None
) -> Ordered:
    """Order that 1 to 1,000 contacts of a list are not texted again. In effect within seconds."""
    return await _order("remove", body, body.reason, request, parts, caller, idempotency_key)


@router.post("/api/contacts/restore", status_code=202, summary="Restore contacts")
async def restore(
    request: Request, body: Contacts, parts: TheParts, caller: Supporter, idempotency_key: IdempotencyKey = None
) -> Ordered:
    """Order that 1 to 1,000 contacts of a list may be texted again, whatever they were removed for.

    Only with the contact's consent. Where the carrier or the provider blocks a number, this does not unblock it.
    """
    return await _order("restore", body, None, request, parts, caller, idempotency_key)


@router.post("/api/contacts/check", summary="Ask who may be texted")
async def check(body: Question, parts: TheParts, caller: Supporter) -> Answers:
    """Tell which of 1 to 1,000 numbers may be texted from a list, right before they are.

    Text a number only if `may_be_texted` is true. When the state is older than the limit, the answer is 503.
    """
    as_of = _as_of(parts)
    listed = _known_list(body.list_number, caller)
    answers = [_answer(parts.contacts, caller.account, listed, text) for text in body.numbers]
    return Answers(list_number=listed or body.list_number, as_of=as_of, contacts=answers)


@router.get("/api/contacts/{list_number}/{number}", summary="Look a contact up")
async def show(
    list_number: Annotated[str, Path(max_length=40, examples=["+18005551234"])],
    number: Annotated[str, Path(max_length=40, examples=["+15551230001"])],
    parts: TheParts,
    caller: Supporter,
) -> Contact:
    """Whether one contact may be texted, why not and since when. A contact of which nothing is recorded may be."""
    listed = _known_list(list_number, caller)
    if listed is None:
        raise not_found(f"Account {caller.account} has no list of this number.")
    as_of = _as_of(parts)
    answer = _answer(parts.contacts, caller.account, listed, number)
    if answer.code == "invalid_number":
        raise not_found("The last part of the path is no phone number; write it as +18005551234.")
    return Contact(list_number=listed, as_of=as_of, **answer.model_dump())


async def _order(
    command: str,
    body: Contacts,
    reason: Reason | None,
    request: Request,
    parts: Parts,
    caller: Caller,
    idempotency_key: str | None,
) -> Ordered:
    if body.list_number not in caller.lists:
        raise validation_failed([f"list_number: is no list of account {caller.account}"])
    accepted = await accept(request, parts, caller, idempotency_key)
    await order(
        parts.writer,
        caller.principal,
        caller.account,
        command,
        [body.list_number],
        body.numbers,
        accepted,
        reason=reason,
        remote_ip=caller_ip(request),
    )
    return Ordered(accepted=len(body.numbers), accepted_at=iso_time(accepted.at))


def _as_of(parts: Parts) -> str:
    """The moment of the answers. Raises ApiError (503) when it is too long ago: then nobody may be texted."""
    limit = parts.settings.check_max_age
    as_of = parts.contacts.freshness.as_of
    if as_of is not None and parts.contacts.age() <= limit:
        return iso_time(as_of.millis)
    known = (
        "Nothing is known yet" if as_of is None else f"The state of contacts is known as of {iso_time(as_of.millis)}"
    )
    why = parts.contacts.problem or parts.contacts.not_ready() or "streams is stopped or behind; see its /readyz"
    raise not_available(f"{known}, and {limit:g} s is the limit: text nobody, and ask again. Reason: {why}.")


def _known_list(text: str, caller: Caller) -> str | None:
    try:
        listed = number(text)
    except ValueError:
        return None
    return listed if listed in caller.lists else None


def _answer(view: ContactsView, account: str, listed: str | None, text: str) -> Answer:
    try:
        phone = number(text)
    except ValueError:
        return Answer(number=text, may_be_texted=False, code="invalid_number")
    if listed is None:
        return Answer(number=phone, may_be_texted=False, code="unknown_list")
    try:
        state = view.contact(account, listed, phone)
    except CodecError:
        return Answer(number=phone, may_be_texted=False, code="unreadable_state")
    if state is None:
        return Answer(number=phone, may_be_texted=True)
    return Answer(
        number=phone,
        may_be_texted=state.active,
        reason=state.reason,
        since=iso_time(state.since),
        failures=state.failures,
    )
