"""`/api/contacts`: remove and restore contacts, and ask who may be texted."""

from __future__ import annotations

from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from accounts.lists import list_in
from accounts.suppression import ALL_LISTS, WHOLE_ACCOUNT
from bus.clock import moment
from console.access.callers import Caller, IdempotencyKey, Supporter, TheParts, accept
from console.changes.acts import Act
from console.changes.contacts import ContactOrder, order
from console.changes.kept_answers import keep
from console.contacts.answers import MARKETING
from console.errors import not_available, not_found, validation_failed
from console.http.fields import MAX_BATCH, Body, ListOrAll, Number, Text, Time, examples, number
from console.parts import Parts
from schemas.cloudevents import iso_time
from schemas.records import DATED_REASONS

Reason = Literal["message", "manual", "complaint", "bad_response", "invalid_contact", "deactivated", "reassigned"]
Purpose = Literal["marketing", "transactional"]

_PURPOSE = (
    "What the message is for. The account's sending hours and caps do not apply to a `transactional` message, such as "
    "a sign-in code or news of an order."
)

router = APIRouter(tags=["Sending"])


class Contacts(Body):
    """Contacts of one list, or of all lists."""

    list_number: ListOrAll = Field(
        description="The list: the number that you text from. `all`: every list, including those created later.",
        examples=["+18005551234"],
    )
    numbers: list[Number] = Field(min_length=1, max_length=MAX_BATCH, examples=[["+15551230001"]])


class Removal(Contacts):
    """Contacts that must not be texted anymore."""

    reason: Reason = Field(
        default="manual",
        description=(
            "Why they are removed. A restore undoes every reason; START undoes only `message`, `deactivated`, and "
            "`reassigned`."
        ),
    )
    happened_at: Time | None = Field(
        default=None,
        description=(
            "For `deactivated` and `reassigned`: when the number was given up. Contacts that have consented since "
            "then stay."
        ),
        examples=["2026-11-20T10:15:00Z"],
    )


class Question(Body):
    """Numbers of one list that are about to be texted."""

    list_number: Text = examples("+18005551234")
    numbers: list[Annotated[str, Field(max_length=200)]] = Field(
        min_length=1, max_length=MAX_BATCH, examples=[["+15551230001", "15551230002"]]
    )
    purpose: Purpose = Field(default=MARKETING, description=_PURPOSE)


class Ordered(Body):
    """The accepted commands: all are on Kafka, acknowledged by all in-sync replicas."""

    accepted: int = Field(description="Number of contacts.", examples=[1])
    unchanged: list[str] = Field(
        default=[],
        description=(
            "Numbers that are already in the requested state, as far as the console knows: for them the order changes "
            "nothing."
        ),
    )
    accepted_at: str = Field(
        description="A check with a later `as_of` shows the result.", examples=["2026-11-20T10:15:01.120Z"]
    )


class Answer(Body):
    """Whether one number may be texted now."""

    number: str = Field(
        description="E.164; anything that is not a number is returned as sent.", examples=["+15551230001"]
    )
    may_be_texted: bool
    reason: str | None = Field(
        default=None,
        description=(
            "Why not: the reason of the removal or hold, `quiet_hours`, or `frequency_cap`. `lost_records`: Kafka"
            " deleted records unread, and an opt-out of the contact may be among them; an operator can end it."
        ),
        examples=["message"],
    )
    since: str | None = Field(default=None, description="Since when, by the reporter's clock.")
    scope: Literal["list", "account"] = Field(
        default="list",
        description="`account`: it must not be texted from any list, because of the account-wide record.",
    )
    held: bool = Field(
        default=False,
        description=(
            "It is not removed, but must not be texted. Either rules would remove it for this reason, along with so "
            "many other contacts of its list that an admin decides first; or, with a `code` or the reason"
            " `lost_records`, its state is unknown."
        ),
    )
    failures: int = Field(default=0, description="Failed messages in a row.")
    not_before: str | None = Field(
        default=None,
        description="When it may be texted next, if only the time forbids it now; null: not in the next few days.",
    )
    until: str | None = Field(
        default=None,
        description=(
            "When the interval ends in which it may be texted: the current one, or the one that begins at `not_before`."
        ),
    )
    time_zones: list[str] = Field(
        default=[],
        description="Its possible time zones, by IANA names: the rules are kept in all of them.",
        examples=[["America/New_York"]],
    )
    rule: str | None = Field(
        default=None,
        description="The rule that forbids texting now, or that ends the interval.",
        examples=["us-federal"],
    )
    code: Literal["invalid_number", "unknown_list", "unreadable_state"] | None = Field(
        default=None, description="Why its state is unknown."
    )


class Contact(Answer):
    """Whether one contact may be texted, and as of when."""

    list_number: str = examples("+18005551234")
    as_of: str = examples("2026-11-20T10:15:00.000Z")


class Answers(Body):
    """An answer for each number, in the order of the request."""

    list_number: str = examples("+18005551234")
    as_of: str = Field(
        description="The answers take everything into account that was acknowledged before this time.",
        examples=["2026-11-20T10:15:00.000Z"],
    )
    contacts: list[Answer]


@router.post("/api/contacts/remove", status_code=202, summary="Remove contacts")
async def remove(
    request: Request, body: Removal, parts: TheParts, caller: Supporter, idempotency_key: IdempotencyKey = None
) -> Ordered:
    """Remove 1 to 1,000 contacts from a list, or from every list. Takes effect within seconds."""
    return await _order("remove", body, body.reason, request, parts, caller, idempotency_key)


@router.post("/api/contacts/restore", status_code=202, summary="Restore contacts")
async def restore(
    request: Request, body: Contacts, parts: TheParts, caller: Supporter, idempotency_key: IdempotencyKey = None
) -> Ordered:
    """Restore 1 to 1,000 contacts of a list, whatever they were removed for. Use only with their consent.

    With `all`, the account-wide removal ends; contacts that a list itself has removed stay removed from it. If a
    carrier or provider blocks a number, this does not unblock it.
    """
    return await _order("restore", body, None, request, parts, caller, idempotency_key)


@router.post("/api/contacts/check", summary="Ask who may be texted", response_model=Answers)
async def check(body: Question, parts: TheParts, caller: Supporter) -> Response:
    """Which of 1 to 1,000 numbers may be texted from a list. Ask right before you text.

    Text a number only if `may_be_texted` is true. If the state is older than the limit, or opt-outs of any contact may
    be lost, the answer is 503. If the account keeps its answers as evidence, the answer is on Kafka before you get it,
    or else it is 503.
    """
    listed = _known_list(body.list_number, caller)
    asked = parts.question(caller.account, listed, body.purpose)
    as_of = _as_of(parts, caller.account, asked.counts)
    list_number = listed or body.list_number
    # A thousand answers cost more to check again than to give.
    begin = orjson.dumps({"list_number": list_number, "as_of": as_of})
    told = begin[:-1] + b',"contacts":' + asked.answers_to(body.numbers) + b"}"
    await keep(parts, caller, list_number, body.purpose, told)
    return Response(told, media_type="application/json")


@router.get("/api/contacts/{list_number}/{number}", summary="Look up a contact", response_model=Contact)
async def show(
    list_number: Annotated[str, Path(max_length=40, examples=["+18005551234"])],
    number: Annotated[str, Path(max_length=40, examples=["+15551230001"])],
    parts: TheParts,
    caller: Supporter,
    purpose: Annotated[Purpose, Query(description=_PURPOSE)] = MARKETING,
) -> Response:
    """Whether one contact may be texted now, why not and since when, and when it may. For a contact without a
    record, only the time decides. Answers are kept like those of a check.
    """
    listed = _known_list(list_number, caller)
    if listed is None:
        raise not_found(f"Account {caller.account} has no list of this number.")
    asked = parts.question(caller.account, listed, purpose)
    as_of = _as_of(parts, caller.account, asked.counts)
    answer = asked.answer(number)
    if answer["code"] == "invalid_number":
        raise not_found("The last part of the path is not a valid phone number; write it as +18005551234.")
    told = orjson.dumps({**answer, "list_number": listed, "as_of": as_of})
    await keep(parts, caller, listed, purpose, told)
    return Response(told, media_type="application/json")


async def _order(
    command: str,
    body: Contacts,
    reason: Reason | None,
    request: Request,
    parts: Parts,
    caller: Caller,
    idempotency_key: str | None,
) -> Ordered:
    listed = WHOLE_ACCOUNT if body.list_number == ALL_LISTS else list_in(caller.lists, body.list_number)
    if listed is None:
        raise validation_failed([f"list_number: is not a list in account {caller.account}"])
    happened_at = body.happened_at if isinstance(body, Removal) else None
    if happened_at is not None and reason not in DATED_REASONS:
        raise validation_failed(
            [f"happened_at: is only allowed with the reasons {' and '.join(sorted(DATED_REASONS))}"]
        )
    accepted = await accept(request, parts, caller, idempotency_key)
    given = ContactOrder(
        account=caller.account,
        command=command,
        list_numbers=[listed],
        numbers=body.numbers,
        reason=reason,
        happened_at=None if happened_at is None else int(happened_at.timestamp() * 1000),
    )
    unchanged = await order(Act(request, parts, caller.principal), given, accepted)
    return Ordered(accepted=len(body.numbers), unchanged=unchanged, accepted_at=iso_time(accepted.at))


def _as_of(parts: Parts, account: str, counts: bool) -> str:
    """Return the moment as of which the answers hold; `counts`: they also count messages. Raises ApiError (503) if it
    is too long ago, or opt-outs of any of the account's contacts may be lost: then nobody may be texted.
    """
    limit, view = parts.settings.check_max_age, parts.contacts
    lost = view.lost.told(account)
    if lost is not None:
        raise not_available(f"{lost}. Until then, text nobody.")
    as_of, age = view.freshness.as_of, view.age()
    unread = parts.places.not_ready()
    if counts:
        unread = unread or view.sent.not_ready()
        counted = view.sent.as_of
        as_of = None if as_of is None or counted is None else min(as_of, counted)
        age = float("inf") if as_of is None else max(age, as_of.seconds_until(moment()))
    if as_of is not None and age <= limit and unread is None:
        return iso_time(as_of.millis)
    known = (
        "Nothing is known yet" if as_of is None else f"The state of contacts is known as of {iso_time(as_of.millis)}"
    )
    why = view.problem or view.not_ready() or unread or "streams is stopped or behind; see its /readyz"
    raise not_available(f"{known}, but {limit:g} s is the limit: text nobody, and ask again. Reason: {why}.")


def _known_list(text: str, caller: Caller) -> str | None:
    try:
        listed = number(text)
    except ValueError:
        return None
    return list_in(caller.lists, listed)
