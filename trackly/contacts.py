"""`trackly contact` (also `contacts`): who may be texted, and orders to change it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from accounts.store import Accounts
from bus.settings import BusSettings
from providers.numbers import NotANumber, to_number
from schemas.ids import contact_key, random_id
from schemas.records import REMOVAL_REASONS, ContactCommand
from trackly.audit import issuer, write_down
from trackly.contact_export import export_contacts
from trackly.contact_import import Import, Order
from trackly.decoding import Decoder
from trackly.errors import Failed
from trackly.output import Json, json_line, say, show
from trackly.progress import Progress
from trackly.reading import BEGINNING, open_topic, read_accounts
from trackly.suppressions import Format
from trackly.writing import producing, send_order

contact = typer.Typer(no_args_is_help=True, add_completion=False)

Account = Annotated[str, typer.Argument(help="Id of the account.")]
ListNumber = Annotated[str, typer.Argument(metavar="LIST", help="The list's own number.")]
Number = Annotated[str, typer.Argument(help="The contact's number: 18005551234, '+1 800 555 1234'.")]
AccountOption = Annotated[str, typer.Option("--account", help="Id of the account.")]
FormatOption = Annotated[
    Format | None, typer.Option("--format", help="csv or jsonl; by default what the file's name says, else csv.")
]


@contact.callback()
def _contact() -> None:
    """Who may be texted, and orders to change it. `trackly contacts` is the same command."""


@contact.command("show")
def show_contact(account: Account, list_number: ListNumber, number: Number, as_json: Json = False) -> None:
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


@contact.command("remove")
def remove_contact(
    account: Account,
    list_number: ListNumber,
    number: Number,
    reason: Annotated[str, typer.Option(help=f"Why: {', '.join(REMOVAL_REASONS)}.")] = "manual",
) -> None:
    """Order that a contact of a list is not texted again."""
    _order("remove", account, list_number, number, _reason(reason))


@contact.command("restore")
def restore_contact(account: Account, list_number: ListNumber, number: Number) -> None:
    """Order that a contact of a list may be texted again, whatever it was removed for. Only with its consent."""
    _order("restore", account, list_number, number, None)


@contact.command("export")
def export_command(
    account: AccountOption,
    list_number: Annotated[str | None, typer.Option("--list", help="The list's own number; by default all.")] = None,
    removed: Annotated[bool, typer.Option("--removed", help="Only contacts that must not be texted.")] = False,
    file_format: FormatOption = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write; it is there once it is complete. By default standard output.")
    ] = None,
) -> None:
    """Print the contacts of which something is recorded, sorted by number. Those that are not in it are active."""
    listed = None if list_number is None else _number(list_number, "--list")
    count = asyncio.run(export_contacts(account, listed, removed, _format(file_format, out), out))
    say(f"{count:,} contact{'' if count == 1 else 's'}{'' if out is None else f' in {out}'}.")


@contact.command("import")
def import_command(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help="CSV or JSON lines.")
    ],
    account: AccountOption,
    list_number: Annotated[str, typer.Option("--list", help="The list's own number.")],
    reason: Annotated[str, typer.Option(help="Why, where the line gives no reason of its own.")] = "manual",
    file_format: FormatOption = None,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew, whatever an earlier run has done.")] = False,
    as_json: Json = False,
) -> None:
    """Remove the contacts of a file from a list: a suppression list of another system.

    A line has a number and, if it likes, a reason. Stopped at any time, the same command goes on where it was.
    Lines that name no number are in FILE.rejected.csv afterwards.
    """
    order = Order(account, _number(list_number, "--list"), _reason(reason), issuer() or "trackly")
    try:
        asyncio.run(_import(Import(file, order, _format(file_format, file), restart=restart), as_json))
    except KeyboardInterrupt:
        say("Interrupted. The same command goes on from here.")
        raise typer.Exit(1) from None


def _order(command: str, account: str, list_number: str, number: str, reason: str | None) -> None:
    listed, phone = _number(list_number, "LIST"), _number(number, "NUMBER")
    order = ContactCommand(
        event_id=random_id(),
        command=command,
        account=account,
        list_number=listed,
        phone_number=phone,
        issued_by=issuer() or "trackly",
        issued_at=time.time_ns() // 1_000_000,
        reason=None if reason == "manual" else reason,
    )
    asyncio.run(_write(order))
    say(f"{phone} is to be {command}d: in effect once streams has taken it, within seconds.")


async def _write(order: ContactCommand) -> None:
    settings = BusSettings()
    codec = Decoder(settings).codec
    _check_list(await read_accounts(settings, codec), order.account, order.list_number)
    async with producing(settings) as producer:
        told = {"lists": [order.list_number], "contacts": 1, "reason": order.reason}
        action = f"contact.{order.command}"
        await write_down(producer, settings, codec, action, order.phone_number, order.account, **told)
        await (await send_order(producer, settings, codec, order))


async def _import(work: Import, as_json: bool) -> None:
    settings = BusSettings()
    codec = Decoder(settings).codec
    _check_list(await read_accounts(settings, codec), work.state.account, work.state.list_number)
    if work.resumed:
        say(f"Going on after line {work.state.line:,}.")
    progress = Progress("bytes read", work.path.stat().st_size)
    try:
        state = await work.run(settings, codec, progress)
    finally:
        progress.end()
    if as_json:
        json_line({"lines": state.line, "removed": state.removed, "rejected": state.rejected})
        return
    say(f"{state.line:,} lines: {state.removed:,} contacts are to be removed, {state.rejected:,} lines rejected.")
    if state.rejected:
        say(f"Rejected lines, with the reasons: {work.rejects_path}")


def _check_list(view: Accounts, account: str, list_number: str) -> None:
    problem = _problem(view, account, list_number)
    if problem:
        raise Failed(problem)


def _reason(text: str) -> str:
    if text not in REMOVAL_REASONS:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(REMOVAL_REASONS)}", param_hint="--reason")
    return text


def _format(given: Format | None, path: Path | None) -> Format:
    if given is not None:
        return given
    return "jsonl" if path is not None and path.suffix.lower() in (".jsonl", ".ndjson", ".json") else "csv"


async def _find(account: str, list_number: str, number: str) -> tuple[dict[str, Any], str]:
    """The contact's state by field name, and a warning or an empty text."""
    settings = BusSettings()
    decoder = Decoder(settings)
    view = await read_accounts(settings, decoder.codec)
    name = contact_key(account, list_number, number)
    newest = await _newest(settings, name)
    if newest is None and settings.pseudonyms is not None:
        # A removed number that was erased is known under its pseudonym.
        pseudonym = settings.pseudonyms.of(account, number)
        newest = await _newest(settings, contact_key(account, list_number, pseudonym))
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
    problem = _problem(view, account, list_number)
    return state, f"Warning: {problem}" if problem else ""


async def _newest(settings: BusSettings, contact: str) -> bytes | None:
    """The newest record of a contact, as it lies on the topic."""
    key, newest = contact.encode(), None
    async with open_topic(settings, settings.catalogue["contacts"].name, BEGINNING, key) as topic:
        async for record in topic.rest():
            if record.key == key:
                newest = record.value
    return newest


def _problem(view: Accounts, account: str, list_number: str) -> str:
    if account not in view.accounts:
        return f"There is no account {account!r}."
    if list_number not in view.lists_of(account):
        lists = ", ".join(view.lists_of(account)) or "none"
        return f"Account {account} has no list {list_number}; its lists: {lists}."
    return ""


def _number(text: str, argument: str) -> str:
    try:
        return to_number(text)
    except NotANumber:
        raise typer.BadParameter(
            f"{text!r} is no phone number; write it as +18005551234", param_hint=argument
        ) from None
