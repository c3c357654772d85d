"""`trackly contact recover`: removals that the read model knows, and Kafka lacks after the restore of a backup."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import typer
from sqlalchemy import Engine, select

from accounts.model import Accounts
from accounts.suppression import ALL_LISTS, WHOLE_ACCOUNT, effective_state, unrecorded
from bus.admin import Admin
from bus.clock import now_ms
from bus.settings import BusSettings
from bus.tables.store import RocksStore, Store
from database.engine import disposing, open_engine
from database.migrating import is_migrated
from database.read_state import positions_in
from database.settings import DatabaseSettings
from database.tables import contacts
from schemas.ids import derived_id
from schemas.pseudonyms import PREFIX
from schemas.records import DATED_REASONS, ContactCommand
from trackly.audit import issuer, write_down
from trackly.commands.contact.export import gather, recorded_in
from trackly.decoding import Decoder
from trackly.errors import Failed
from trackly.output import Json, Yes, confirm, json_line, say, table
from trackly.reading import account_named, problem_with, read_accounts
from trackly.writing import Unacknowledged, producing, send_order

_ROWS_AT_ONCE = 2_000


class Removal(NamedTuple):
    """A removal as the read model has it; `since` in ms."""

    account: str
    list_number: str
    number: str
    reason: str | None
    since: int


class Found(NamedTuple):
    """Removals that Kafka lacks, by account, list, and reason, and how many of them cannot be recovered."""

    counts: Counter[tuple[str, str, str]]
    erased: int
    unknown: Counter[str]


def recover(
    account: Annotated[str | None, typer.Option("--account", help="The account's ID; by default all.")] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove contacts again that the read model knows as removed, and Kafka does not, after a restore.

    Use this after you have restored a backup that is older than the newest opt-outs, if the database has survived, and
    before `trackly read-model accept` or `rebuild`. A contact that has come back to a list after it was removed from
    every list is removed from that list, too. You may repeat it.
    """
    settings, decoder = BusSettings(), Decoder(BusSettings())
    view = asyncio.run(read_accounts(settings, decoder.codec))
    if account is not None:
        account_named(view, account)
    with (
        disposing(open_engine(DatabaseSettings().database, read_only=True)) as engine,
        tempfile.TemporaryDirectory(prefix="trackly-recovery-") as directory,
    ):
        _check(settings, engine)
        store = RocksStore(Path(directory) / "contacts")
        try:
            prefix = b"" if account is None else f"{account}:".encode()
            asyncio.run(gather(settings, (prefix,), store))

            def removals() -> Iterator[Removal]:
                # Read once to count them and again to remove them: there may be too many to remember.
                return lost(_stored(engine, account), lambda each: _may_be_texted(decoder, store, each))

            found = _survey(removals(), view)
            if found.counts and not as_json:
                rows = ((*names, f"{count:,}") for names, count in sorted(found.counts.items()))
                table(("account", "list", "reason", "contacts"), rows)
            total = found.counts.total()
            if total and not yes:
                confirm(f"Remove these {total:,} contacts?")
            if total:
                asyncio.run(_remove(settings, decoder, view, removals(), found))
        finally:
            store.close()
    if as_json:
        json_line({"removed": total, "erased": found.erased, "unknown": found.unknown.total()})
    else:
        say(f"{total:,} contacts are to be removed again: in effect once streams has taken the orders.")
    if found.erased:
        say(f"{found.erased:,} more were erased after the backup: erase these numbers again, then remove them.")
    if found.unknown:
        raise Failed(
            f"{found.unknown.total():,} more are on lists that the backup does not have, such as"
            f" {next(iter(found.unknown))}: apply your accounts, and run the command again."
        )


def lost(stored: Iterable[Removal], may_be_texted: Callable[[Removal], bool]) -> Iterator[Removal]:
    """Yield the removals whose contacts may be texted now. `stored` is sorted by account, number, and list, so that the
    removal from every list comes first: it is not repeated for each of them."""
    whole: Removal | None = None
    for each in stored:
        if each.list_number == WHOLE_ACCOUNT:
            whole = each
        elif whole is not None and whole == each._replace(list_number=WHOLE_ACCOUNT):
            continue
        if may_be_texted(each):
            yield each


def _check(settings: BusSettings, engine: Engine) -> None:
    if not is_migrated(engine):
        raise Failed("The database has no read model of this version: run `trackly read-model migrate`.")
    name = settings.catalogue["contacts"].name
    with engine.connect() as connection:
        read = {topic_id for (topic, _), (topic_id, _) in positions_in(connection).items() if topic == name}
    with Admin(settings) as admin:
        found = admin.identities([name])
    if name in found and found[name].id in read:
        raise Failed(
            f"The read model has read this {name}, so it knows no more: this command helps only between a restore and"
            " `trackly read-model accept` or `rebuild`."
        )


def _stored(engine: Engine, account: str | None) -> Iterator[Removal]:
    c = contacts.c
    query = select(c.account, c.list_number, c.number, c.reason, c.since).where(~c.active, ~c.held)
    if account is not None:
        query = query.where(c.account == account)
    query = query.order_by(c.account, c.number, c.list_number).execution_options(yield_per=_ROWS_AT_ONCE)
    with engine.connect() as connection:
        for row in connection.execute(query):
            yield Removal(*row)


def _may_be_texted(decoder: Decoder, store: Store, removal: Removal) -> bool:
    account, list_number, number, *_ = removal
    own, whole = (recorded_in(decoder, store, account, each, number) for each in (list_number, WHOLE_ACCOUNT))
    state = effective_state(own or unrecorded(account, list_number, number), whole)
    # A hold may be released; a removal that was known before may not.
    return state.active or state.held


def _survey(removals: Iterable[Removal], view: Accounts) -> Found:
    counts: Counter[tuple[str, str, str]] = Counter()
    unknown: Counter[str] = Counter()
    erased = 0
    for each in removals:
        match _obstacle(each, view):
            case "erased":
                erased += 1
            case "unknown list":
                unknown[f"{each.account}/{each.list_number}"] += 1
            case None:
                counts[each.account, each.list_number or ALL_LISTS, each.reason or "manual"] += 1
    return Found(counts, erased, unknown)


def _obstacle(removal: Removal, view: Accounts) -> Literal["erased", "unknown list"] | None:
    """Return why a removal cannot be recovered, or None."""
    if removal.number.startswith(PREFIX):
        return "erased"
    return "unknown list" if problem_with(view, removal.account, removal.list_number) else None


async def _remove(
    settings: BusSettings, decoder: Decoder, view: Accounts, removals: Iterable[Removal], found: Found
) -> None:
    issued_by, at = issuer() or "trackly", now_ms()
    async with producing(settings, linger_ms=5) as producer:
        for account in sorted({account for account, *_ in found.counts}):
            count = sum(number for (each, *_), number in found.counts.items() if each == account)
            await write_down(producer, settings, decoder.codec, "contacts.recover", "contacts", account, contacts=count)
        sent = Unacknowledged()
        for removal in removals:
            if _obstacle(removal, view) is not None:
                continue
            account, list_number, number, reason, since = removal
            command = ContactCommand(
                event_id=derived_id("recover", account, list_number, number, reason or "", since),
                command="remove",
                account=account,
                list_number=list_number,
                phone_number=number,
                issued_by=issued_by,
                issued_at=at,
                reason=None if reason == "manual" else reason,
                happened_at=since if reason in DATED_REASONS else None,
            )
            await sent.add(await send_order(producer, settings, decoder.codec, command))
        await sent.wait()
