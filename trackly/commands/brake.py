"""`trackly brake`: the held removals of lists, and decisions about them."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from accounts.suppression import ALL_LISTS
from bus.clock import now_ms
from bus.settings import BusSettings
from bus.tables.store import RocksStore
from schemas.ids import random_id
from schemas.records import CONFIRM, RELEASE, ContactCommand, ContactState
from trackly.audit import issuer, write_down
from trackly.commands.contact.command import Account, ListNumber, list_named
from trackly.commands.contact.export import gather, states_in
from trackly.decoding import Decoder, time_text
from trackly.errors import Failed
from trackly.output import Json, Yes, confirm, json_line, say, table
from trackly.reading import account_named, check_list, read_accounts
from trackly.writing import producing, send_order

brake = typer.Typer(no_args_is_help=True, add_completion=False)


@dataclass(slots=True)
class Holding:
    """The held contacts of one list's brake, by the reason for which rules would remove them. `since` (ms) is when the
    first removal was held."""

    list_number: str
    reasons: Counter[str] = field(default_factory=Counter)
    since: int = 0


@brake.callback()
def _brake() -> None:
    """Removals that a list's brake holds. Held contacts are not texted until an admin confirms or releases them."""


@brake.command("list")
def list_held(account: Account, as_json: Json = False) -> None:
    """List held removals: for each list, how many contacts, for which reasons, and since when."""
    found = asyncio.run(_holdings(account))
    if as_json:
        for each in found:
            json_line(line_of(each))
    elif found:
        table(("list", "contacts", "since", "reasons"), map(_row, found))
    else:
        say(f"Nothing is held in account {account}.")


@brake.command("confirm")
def confirm_held(account: Account, list_number: ListNumber, yes: Yes = False) -> None:
    """Remove a list's held contacts. The hour's count starts over."""
    _decide(CONFIRM, account, list_number, yes, "be removed")


@brake.command("release")
def release_held(account: Account, list_number: ListNumber, yes: Yes = False) -> None:
    """Release a list's held contacts: they may be texted, and their failure counts start over."""
    _decide(RELEASE, account, list_number, yes, "be released")


def line_of(holding: Holding) -> dict[str, Any]:
    """Return a list's held removals, as printed by `--json`."""
    return {
        "list_number": holding.list_number,
        "contacts": holding.reasons.total(),
        "reasons": dict(holding.reasons),
        "since": time_text(holding.since),
    }


def holdings(states: Iterable[ContactState]) -> list[Holding]:
    """Return the held removals in these states, by list."""
    found: dict[str, Holding] = {}
    for state in states:
        if state.held:
            each = found.setdefault(state.list_number, Holding(state.list_number or ALL_LISTS, since=state.since))
            each.reasons[state.reason or ""] += 1
            each.since = min(each.since, state.since)
    return [found[list_number] for list_number in sorted(found)]


async def _holdings(account: str) -> list[Holding]:
    settings = BusSettings()
    decoder = Decoder(settings)
    account_named(await read_accounts(settings, decoder.codec), account)
    with tempfile.TemporaryDirectory(prefix="trackly-brake-") as directory:
        store = RocksStore(Path(directory) / "contacts")
        try:
            await gather(settings, (f"{account}:".encode(),), store)
            return holdings(states_in(decoder, store))
        finally:
            store.close()


def _row(holding: Holding) -> tuple[str, ...]:
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in holding.reasons.most_common())
    return holding.list_number, f"{holding.reasons.total():,}", str(time_text(holding.since)), reasons


def _decide(command: str, account: str, list_number: str, yes: bool, what: str) -> None:
    listed = list_named(list_number, "LIST")
    held = next((each for each in asyncio.run(_holdings(account)) if each.list_number == (listed or ALL_LISTS)), None)
    if held is None:
        raise Failed(f"No removals are held for list {listed or ALL_LISTS} in account {account}.")
    if not yes:
        confirm(f"{held.reasons.total():,} contacts are held. Should they {what}?")
    asyncio.run(_write(command, account, listed, held.reasons.total()))
    say(f"The held contacts of list {listed or ALL_LISTS} will {what}; streams processes 2,000 a second.")


async def _write(command: str, account: str, list_number: str, contacts: int) -> None:
    settings = BusSettings()
    codec = Decoder(settings).codec
    check_list(await read_accounts(settings, codec), account, list_number)
    order = ContactCommand(
        event_id=random_id(),
        command=command,
        account=account,
        list_number=list_number,
        phone_number="",
        issued_by=issuer() or "trackly",
        issued_at=now_ms(),
    )
    async with producing(settings) as producer:
        about = list_number or ALL_LISTS
        await write_down(producer, settings, codec, f"brake.{command}", about, account, contacts=contacts)
        await (await send_order(producer, settings, codec, order, key=account.encode()))
