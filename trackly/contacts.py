"""`trackly contact`: whether a contact may be texted."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from accounts.store import Accounts
from bus.settings import BusSettings
from providers.numbers import NotANumber, to_number
from schemas.ids import contact_key
from trackly.decoding import Decoder
from trackly.output import Json, json_line, say, show
from trackly.reading import BEGINNING, open_topic, read_accounts

contact = typer.Typer(no_args_is_help=True, add_completion=False)


@contact.callback()
def _contact() -> None:
    """Whether a contact may be texted, and why not."""


@contact.command("show")
def show_contact(
    account: Annotated[str, typer.Argument(help="Id of the account.")],
    list_number: Annotated[str, typer.Argument(metavar="LIST", help="The list's own number.")],
    number: Annotated[str, typer.Argument(help="The contact's number: 18005551234, '+1 800 555 1234'.")],
    as_json: Json = False,
) -> None:
    """Show whether a contact of a list may be texted, its failures in a row, the reason and since when."""
    listed = _number(list_number, "LIST")
    phone = _number(number, "NUMBER")
    state, warning = asyncio.run(_find(account, listed, phone))
    if warning:
        say(warning)
    if as_json:
        json_line(state)
        return
    show(f"{phone} on list {listed} of {account}")
    show(f"  state     {'active' if state['active'] else 'removed: do not text'}")
    show(f"  failures  {state['failures']}")
    show(f"  reason    {state['reason'] or 'none'}")
    show(f"  since     {state['since']}" if state["since"] else "  nothing is recorded against it")


async def _find(account: str, list_number: str, number: str) -> tuple[dict[str, Any], str]:
    """The contact's state by field name, and a warning or an empty text."""
    settings = BusSettings()
    decoder = Decoder(settings)
    view = await read_accounts(settings, decoder.codec)
    name = contact_key(account, list_number, number)
    key, newest = name.encode(), None
    async with open_topic(settings, settings.catalogue["contacts"].name, BEGINNING, key) as topic:
        async for record in topic.rest():
            if record.key == key:
                newest = record.value
    state: dict[str, Any] = {
        "contact": name,
        "account": account,
        "list_number": list_number,
        "phone_number": number,
        "active": True,
        "failures": 0,
        "reason": None,
        "since": None,
        "last_event_id": None,
    }
    if newest is not None:
        state = decoder.fields(decoder.codec.decode(newest))
    return state, _warning(view, account, list_number)


def _warning(view: Accounts, account: str, list_number: str) -> str:
    if account not in view.accounts:
        return f"Warning: there is no account {account!r}."
    if list_number not in view.lists_of(account):
        lists = ", ".join(view.lists_of(account)) or "none"
        return f"Warning: account {account} has no list {list_number}; its lists: {lists}."
    return ""


def _number(text: str, argument: str) -> str:
    try:
        return to_number(text)
    except NotANumber:
        raise typer.BadParameter(
            f"{text!r} is no phone number; write it as +18005551234", param_hint=argument
        ) from None
