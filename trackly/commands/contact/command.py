"""`trackly contact` (also `contacts`): who may be texted, and commands to change it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from accounts.suppression import ACCOUNT_SCOPE, ALL_LISTS, WHOLE_ACCOUNT
from bus.clock import now_ms
from bus.settings import BusSettings
from operations.losses import LOST_RECORDS
from providers.numbers import NotANumber, to_number
from schemas.ids import random_id
from schemas.numbering import canonical, user_id_of
from schemas.records import REMOVAL_REASONS, ContactCommand
from trackly.audit import issuer, write_down
from trackly.commands.contact.deactivations.command import deactivations
from trackly.commands.contact.export import export_contacts
from trackly.commands.contact.imports import Import, Order
from trackly.commands.contact.migration import migrate, old_contacts
from trackly.commands.contact.places import UNKNOWN_LIST, place, places, timing_lines, with_answer
from trackly.commands.contact.recovery import recover
from trackly.commands.contact.standing import standing_of
from trackly.commands.contact.suppressions import Format, Parse, Suppression
from trackly.commands.evidence import export_evidence
from trackly.decoding import Decoder
from trackly.output import Json, Yes, confirm, json_line, parsed, say, show
from trackly.progress import Progress
from trackly.reading import account_named, check_list, problem_with, read_accounts
from trackly.writing import producing, send_order
from trackly.written import country_of, written_number

contact = typer.Typer(no_args_is_help=True, add_completion=False)

Account = Annotated[str, typer.Argument(help="The account's ID.")]
ListNumber = Annotated[
    str, typer.Argument(metavar="LIST", help="The list's number; all: every list, including lists created later.")
]
Number = Annotated[str, typer.Argument(help="The contact's number: 18005551234, '+1 800 555 1234'.")]
AccountOption = Annotated[str, typer.Option("--account", help="The account's ID.")]
CountryOption = Annotated[
    str | None, typer.Option("--country", help="Country of numbers without a country code, in two letters: US, GB.")
]
FormatOption = Annotated[
    Format | None, typer.Option("--format", help="csv or jsonl; by default by the file's extension, or else csv.")
]


@contact.callback()
def _contact() -> None:
    """Ask who may be texted, and remove or restore contacts. `trackly contacts` is the same command."""


@contact.command("show")
def show_contact(
    account: Account, list_number: ListNumber, number: Number, country: CountryOption = None, as_json: Json = False
) -> None:
    """Show whether and when a contact of a list may be texted, its failures in a row, the reason, and since when."""
    listed = list_named(list_number, "LIST")
    phone = contact_number(number, country)
    state, warning = asyncio.run(_find(account, listed, phone))
    if warning:
        say(warning)
    if as_json:
        json_line(state)
        return
    show(f"{phone} on {f'list {listed}' if listed else 'every list'} of {account}")
    show(f"  state     {_state(state)}")
    show(f"  failures  {state['failures']}")
    for line in timing_lines(state):
        show(f"  {line}")
    on_all = ", for every list" if listed and state["scope"] == ACCOUNT_SCOPE else ""
    show(f"  reason    {state['reason'] or 'none'}{on_all}")
    if state["except_lists"]:
        show(f"  but for   {', '.join(state['except_lists'])}, where it was restored")
    show(f"  since     {state['since']}" if state["since"] else "  nothing is recorded against it")


@contact.command("remove")
def remove_contact(
    account: Account,
    list_number: ListNumber,
    number: Number,
    reason: Annotated[str, typer.Option(help=f"The reason: {', '.join(REMOVAL_REASONS)}.")] = "manual",
    country: CountryOption = None,
) -> None:
    """Remove a contact from a list, or from every list."""
    _order("remove", account, list_number, contact_number(number, country), _reason(reason))


@contact.command("restore")
def restore_contact(account: Account, list_number: ListNumber, number: Number, country: CountryOption = None) -> None:
    """Restore a contact to a list, whatever it was removed for. Use only with its consent.

    With `all`, the account-wide removal ends; contacts that a list itself has removed stay removed from it.
    """
    _order("restore", account, list_number, contact_number(number, country), None)


@contact.command("export")
def export_command(
    account: AccountOption,
    list_number: Annotated[str | None, typer.Option("--list", help="The list's number; by default all.")] = None,
    removed: Annotated[bool, typer.Option("--removed", help="Only contacts that must not be texted.")] = False,
    file_format: FormatOption = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write; it appears when it is complete. By default standard output.")
    ] = None,
) -> None:
    """Print the contacts with a record, sorted by number. All others are active."""
    listed = None if list_number is None else _number(list_number, "--list")
    count = asyncio.run(export_contacts(account, listed, removed, _format(file_format, out), out))
    say(f"{count:,} contact{'' if count == 1 else 's'}{'' if out is None else f' in {out}'}.")


@contact.command("import")
def import_command(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help="CSV or JSON lines.")
    ],
    account: AccountOption,
    list_number: Annotated[
        str, typer.Option("--list", help="The list's number; all: every list, including lists created later.")
    ],
    reason: Annotated[str, typer.Option(help="Reason for lines that give none.")] = "manual",
    file_format: FormatOption = None,
    country: CountryOption = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Start over, even if an earlier run was interrupted.")
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove the contacts in a file from a list, such as another system's suppression list.

    Each line has a number and, optionally, a reason. If it is interrupted, the same command continues where it stopped.
    The whole file is read first: doubtful lines are counted, and the command asks before it writes anything. Lines
    without a certain number are written to FILE.rejected.csv.
    """
    order = Order(account, list_named(list_number, "--list"), _reason(reason), issuer() or "trackly")
    try:
        region = None if country is None else parsed(country_of, country, "--country")
        work = Import(file, order, _format(file_format, file), restart=restart, country=region)
        asyncio.run(_import(work, yes, as_json))
    except KeyboardInterrupt:
        say("Interrupted. Run the same command to continue.")
        raise typer.Exit(1) from None


contact.command("deactivations")(deactivations)
contact.command("evidence")(export_evidence)
contact.command("place")(place)
contact.command("places")(places)
contact.command("recover")(recover)


@contact.command("migrate")
def migrate_command(account: AccountOption, yes: Yes = False, as_json: Json = False) -> None:
    """Move contacts that are recorded under old spellings of their numbers to the canonical spelling.

    Without --yes, it only shows them. A removed contact is removed under the canonical spelling before its old record
    is deleted, as `removed` shows. Failures in a row start over. If you run it again, it does what is left.
    """
    settings = BusSettings()
    decoder = Decoder(settings)
    account_named(asyncio.run(read_accounts(settings, decoder.codec)), account)
    states = asyncio.run(old_contacts(settings, decoder, account))
    for state in states:
        to = canonical(state.phone_number)
        if as_json:
            json_line({"from": state.phone_number, "to": to, "list_number": state.list_number, "active": state.active})
        else:
            listed = state.list_number or ALL_LISTS
            what = "active" if state.active else "held" if state.held else "removed"
            show(f"{state.phone_number} -> {to}  list {listed}  {what}")
    removed = sum(not state.active for state in states)
    say(f"{len(states):,} contacts under old spellings, {removed:,} of them removed.")
    if states and yes:
        asyncio.run(migrate(settings, decoder, account, states))
        say("They have been moved.")
    elif states:
        say("Nothing was changed: pass --yes.")


def _state(state: dict[str, Any]) -> str:
    if state["code"] == UNKNOWN_LIST:
        recorded = "active" if state["active"] else "removed"
        return f"unknown: there is no such list, so do not text; recorded as {recorded}"
    if state["code"] is not None:
        return "unknown: what is recorded cannot be read; do not text, and update trackly"
    if state["reason"] == LOST_RECORDS:
        return "held: do not text; its opt-out may be among records that were lost: `trackly losses list`"
    if state["held"]:
        told = (
            "an order has not been processed by streams yet"
            if state["active"]
            else "`trackly brake list` shows what awaits a decision"
        )
        return f"held: do not text; {told}"
    return "active" if state["active"] else "removed: do not text"


def _order(command: str, account: str, list_number: str, phone: str, reason: str | None) -> None:
    listed = list_named(list_number, "LIST")
    order = ContactCommand(
        event_id=random_id(),
        command=command,
        account=account,
        list_number=listed,
        phone_number=phone,
        issued_by=issuer() or "trackly",
        issued_at=now_ms(),
        reason=None if reason == "manual" else reason,
    )
    asyncio.run(_write(order))
    say(f"{phone} is to be {command}d: in effect once streams has taken it, within seconds.")


async def _write(order: ContactCommand) -> None:
    settings = BusSettings()
    codec = Decoder(settings).codec
    check_list(await read_accounts(settings, codec), order.account, order.list_number)
    async with producing(settings) as producer:
        told = {"lists": [order.list_number or ALL_LISTS], "contacts": 1, "reason": order.reason}
        action = f"contact.{order.command}"
        await write_down(producer, settings, codec, action, order.phone_number, order.account, **told)
        await (await send_order(producer, settings, codec, order))


async def _import(work: Import, yes: bool, as_json: bool) -> None:
    settings = BusSettings()
    codec = Decoder(settings).codec
    check_list(await read_accounts(settings, codec), work.state.account, work.state.list_number)
    if work.resumed:
        say(f"Continuing after line {work.state.line:,}.")
    doubtful = _look_through(work, yes)
    progress = Progress("bytes read", work.path.stat().st_size)
    try:
        state = await work.run(settings, codec, progress)
    finally:
        progress.end()
    if as_json:
        found = {"lines": state.line, "removed": state.removed, "rejected": state.rejected, "doubtful": doubtful}
        json_line(found)
        return
    say(f"{state.line:,} lines: {state.removed:,} contacts will be removed, {state.rejected:,} lines rejected.")
    if state.rejected:
        say(f"Rejected lines, with the reasons: {work.rejects_path}")


def _look_through(work: Import, yes: bool) -> int:
    """Report and confirm what is doubtful in a file before writing anything; returns the number of rows."""
    unknown = 0

    def counting(parse: Parse) -> Parse:
        def counted(line: str) -> Suppression | None:
            nonlocal unknown
            row = parse(line)
            unknown += row is not None and row.has_unknown_reason
            return row

        return counted

    survey = work.survey(counting)
    if unknown:
        say(
            f"Lines with a reason that is none of {', '.join(REMOVAL_REASONS)}: {unknown:,}. Their contacts are removed"
            f" as {work.state.reason}; --reason chooses another."
        )
    if survey.rejected or survey.doubtful:
        say(
            f"{survey.lines:,} lines: {survey.rejected:,} contain no certain number and are skipped;"
            f" {survey.doubtful:,} have a number that no country has assigned, and are imported."
        )
        for example in survey.examples:
            say(f"  {example}")
        if not yes and not work.resumed:
            confirm("Import the file anyway?")
    return survey.doubtful


def _reason(text: str) -> str:
    if text not in REMOVAL_REASONS:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(REMOVAL_REASONS)}", param_hint="--reason")
    return text


def _format(given: Format | None, path: Path | None) -> Format:
    if given is not None:
        return given
    return "jsonl" if path is not None and path.suffix.lower() in (".jsonl", ".ndjson", ".json") else "csv"


async def _find(account: str, list_number: str, number: str) -> tuple[dict[str, Any], str]:
    """Return the contact's effective state by field name, with a check's answer, and a warning or ""."""
    settings = BusSettings()
    decoder = Decoder(settings)
    view = await read_accounts(settings, decoder.codec)
    found = await standing_of(settings, decoder, view, account, list_number, number)
    state = decoder.fields(found.state)
    if not found.state.since:
        state |= {"since": None, "last_event_id": None}
    problem = problem_with(view, account, list_number)
    return with_answer(state, found.answer), f"Warning: {problem}" if problem else ""


def list_named(text: str, argument: str) -> str:
    """Return the number of a list on the command line, empty for every list. Raises typer.BadParameter."""
    return WHOLE_ACCOUNT if text.lower() == ALL_LISTS else _number(text, argument)


def contact_number(text: str, country: str | None) -> str:
    """Return a contact's number on the command line (its country applies if it names none), or a WhatsApp user id.

    Raises typer.BadParameter.
    """
    user_id = user_id_of(text)
    if user_id is not None:
        return user_id
    region = None if country is None else parsed(country_of, country, "--country")
    try:
        return written_number(text, region)
    except ValueError as error:
        told = str(error).replace("the number", repr(text), 1)
        raise typer.BadParameter(told, param_hint="NUMBER") from None


def _number(text: str, argument: str) -> str:
    try:
        return to_number(text)
    except NotANumber:
        raise typer.BadParameter(
            f"{text!r} is not a valid phone number; write it as +18005551234", param_hint=argument
        ) from None
