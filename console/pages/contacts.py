"""Messages > Contacts: who was removed, why, and commands to change it."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from accounts.suppression import ALL_LISTS, WHOLE_ACCOUNT
from bus.clock import now_ms
from console.access.callers import TheParts
from console.api.contacts import contact_of_number
from console.backends.idempotency import Accepted
from console.changes.acts import Act
from console.changes.contacts import NO_LIST, ContactOrder, order
from console.errors import ApiError, validation_failed
from console.http.fields import number as to_e164
from console.pages.shell import base_of, done, page
from console.pages.visitor import Administrator, Supporter, TheVisitor, Visitor
from console.queries.contacts import ContactsFilter, listed_contacts
from schemas.ids import random_id
from schemas.records import REMOVAL_REASONS

router = APIRouter(prefix="/accounts/{account}/contacts")

OnList = Annotated[str, Form(max_length=40)]


@router.get("")
async def list_contacts(
    request: Request, wanted: Annotated[ContactsFilter, Query()], parts: TheParts, visitor: TheVisitor
) -> Response:
    """The list with its filters, and the look-up of a number."""
    visitor.check_search(wanted)
    found = visitor.page(await parts.reads(listed_contacts, visitor.account, wanted))
    return page(request, "contacts/list.html", visitor, wanted=wanted, found=found, reasons=REMOVAL_REASONS)


@router.get("/look-up")
async def look_up(number: Annotated[str, Query(max_length=40)], visitor: Supporter) -> Response:
    """Redirect from a number in any notation to its page."""
    return RedirectResponse(_path(visitor, to_page_number(number)), 303)


@router.get("/{number}")
async def show_contact(request: Request, number: str, parts: TheParts, visitor: Supporter) -> Response:
    """All that is known about a number."""
    contact = await contact_of_number(parts, visitor.account, visitor.lists, number)
    may_erase = parts.settings.pseudonym_key is not None
    return page(request, "contacts/one.html", visitor, contact=contact, reasons=REMOVAL_REASONS, may_erase=may_erase)


@router.post("/{number}/remove")
async def remove(
    request: Request,
    number: str,
    list_number: OnList,
    reason: Annotated[str, Form(max_length=40)],
    parts: TheParts,
    visitor: Supporter,
) -> Response:
    """Remove the number from a list."""
    if reason not in REMOVAL_REASONS:
        raise validation_failed([f"reason: is not one of {', '.join(REMOVAL_REASONS)}"])
    given = _given(visitor, "remove", number, [_list(visitor, list_number)], reason=reason)
    return await _issue(Act(request, parts, visitor.principal), visitor, given)


@router.post("/{number}/restore")
async def restore(
    request: Request,
    number: str,
    list_number: OnList,
    parts: TheParts,
    visitor: Supporter,
    why: Annotated[str, Form(max_length=500)] = "",
    consent: Annotated[bool, Form()] = False,
) -> Response:
    """Restore the number; requires a reason and the contact's consent."""
    if not why.strip():
        raise validation_failed(["why: is missing; say why the contact may be texted again"])
    if not consent:
        raise validation_failed(["consent: is missing; only a contact that agreed may be texted again"])
    given = _given(visitor, "restore", number, [_list(visitor, list_number)], note=why.strip())
    return await _issue(Act(request, parts, visitor.principal), visitor, given)


@router.post("/{number}/erase")
async def erase(request: Request, number: str, parts: TheParts, visitor: Administrator) -> Response:
    """Erase the number on every list of the account."""
    if parts.settings.pseudonym_key is None:
        raise ApiError(
            409,
            "not_configured",
            "Numbers cannot be erased.",
            "TRACKLY_PSEUDONYM_KEY is not set: without it a removed contact would be forgotten and texted again.",
        )
    given = _given(visitor, "erase", number, [*sorted(visitor.lists), NO_LIST])
    return await _issue(Act(request, parts, visitor.principal), visitor, given)


def _given(
    visitor: Visitor, command: str, number: str, lists: list[str], *, reason: str | None = None, note: str = ""
) -> ContactOrder:
    """Return a command about one number. Raises ApiError 422 if it is not a number."""
    numbers = [to_page_number(number)]
    return ContactOrder(
        account=visitor.account, command=command, list_numbers=lists, numbers=numbers, reason=reason, note=note
    )


async def _issue(act: Act, visitor: Visitor, given: ContactOrder) -> Response:
    unchanged = await order(act, given, Accepted(now_ms(), random_id()))
    if given.command == "erase":
        return done(visitor, "/contacts", "erasing")
    return done(visitor, f"/contacts/{quote(given.numbers[0])}", "unchanged" if unchanged else "ordered")


def _list(visitor: Visitor, list_number: str) -> str:
    if list_number == ALL_LISTS:
        return WHOLE_ACCOUNT
    if list_number not in visitor.lists:
        raise validation_failed([f"list_number: is not a list in account {visitor.account}"])
    return list_number


def to_page_number(text: str) -> str:
    """Return a number in E.164. Raises ApiError 422."""
    try:
        return to_e164(text)
    except ValueError as error:
        raise validation_failed([f"number: {error}"]) from None


def _path(visitor: Visitor, phone: str) -> str:
    return f"{base_of(visitor.account)}/contacts/{quote(phone)}"
