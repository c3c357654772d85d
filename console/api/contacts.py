"""`GET /api/contacts`: contacts with a record, and everything known about one number."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from console.access.callers import Supporter, TheCaller, TheParts
from console.api.lists import ListAnswer, answer
from console.contacts.states import WholeContact, whole_contact
from console.errors import method_not_allowed, not_found
from console.http.fields import number as to_e164
from console.parts import Parts
from console.queries.contacts import ContactsFilter, ListedContact, changes, listed_contacts
from schemas.records import ListConfig

router = APIRouter(tags=["Contacts"])


ORDERS = ("check", "remove", "restore")
"""What stands where a number would, and is posted."""


@router.get("/api/contacts", summary="List contacts")
async def list_contacts(
    wanted: Annotated[ContactsFilter, Query()], parts: TheParts, caller: TheCaller
) -> ListAnswer[ListedContact]:
    """Contacts with a record, last changed first; a moment behind. All others are active."""
    caller.check_search(wanted)
    return answer(caller, await parts.reads(listed_contacts, caller.account, wanted))


@router.get("/api/contacts/{number}", summary="Show a number on every list")
async def show_number(
    number: Annotated[str, Path(max_length=40, examples=["+15551230001"])], parts: TheParts, caller: Supporter
) -> WholeContact:
    """The number's state on each list, as of `as_of`, and its history, newest first."""
    if number in ORDERS:
        raise method_not_allowed(["POST"])
    return await contact_of_number(parts, caller.account, caller.lists, number)


async def contact_of_number(parts: Parts, account: str, lists: dict[str, ListConfig], text: str) -> WholeContact:
    """Return the contact of a number in any notation. Raises ApiError 404 if it is not a number."""
    try:
        phone = to_e164(text)
    except ValueError:
        raise not_found("This is not a valid phone number; write it as +18005551234.") from None
    history = await parts.reads(changes, account, phone)
    verdict = parts.question(account, None).verdict(phone)
    return whole_contact(parts.contacts, parts.settings.check_max_age, account, lists, phone, verdict, history)
