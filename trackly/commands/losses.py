"""`trackly losses`: records that retention deleted before they were read, and that somebody has made up for them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Any

import typer

from bus.admin import Admin
from bus.clock import now_ms
from bus.losses import EVERY_ACCOUNT, OPT_OUTS
from bus.settings import BusSettings
from operations.losses import KnownLosses, sentence, settlement_key, unread
from schemas.cloudevents import event_headers
from schemas.ids import derived_id
from schemas.records import OF_ANYONE, OF_NOBODY, LossSettled, RecordsLost
from trackly.audit import OF_NO_ACCOUNT, issuer, write_down
from trackly.decoding import Decoder, time_text
from trackly.errors import Failed
from trackly.output import Json, Yes, confirm, json_line, say, table
from trackly.reading import account_named, read_accounts, read_losses
from trackly.writing import producing

losses = typer.Typer(no_args_is_help=True, add_completion=False)


@losses.callback()
def _losses() -> None:
    """Records that Kafka's retention deleted before they were read. While opt-outs may be among them, contacts are not
    texted until the loss is settled."""


@losses.command("list")
def list_losses(
    all_of_them: Annotated[bool, typer.Option("--all", help="Also losses that are settled.")] = False,
    as_json: Json = False,
) -> None:
    """List losses that are not settled: what was lost, whose opt-outs may be among it, and for whom it is settled."""
    known, gaps = asyncio.run(_known())
    found = list(known.losses.values()) if all_of_them else known.open()
    if as_json:
        for loss in found:
            json_line(line_of(loss, known))
    elif found:
        columns = ("id", "noticed", "records", "topic", "partition", "reader", "opt-outs of", "settled for")
        table(columns, (_row(loss, known) for loss in found))
    else:
        say("Nothing is lost." if all_of_them else "No loss is open.")
    _say_unrecorded(gaps)


@losses.command("settle")
def settle(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Losses; by default all.")] = None,
    account: Annotated[str | None, typer.Option(help="Only for this account; by default for every account.")] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Say that what was lost is made up for, so that contacts may be texted again.

    First import the opt-outs that your providers list (`trackly contacts import`, for each account and list), and
    process again what they can send again.
    """
    known, gaps = asyncio.run(_known())
    _say_unrecorded(gaps)
    chosen = _chosen(known, ids or (), account)
    if not chosen:
        say("No loss is open." if account is None else f"No loss is open for account {account}.")
        return
    if not yes:
        confirm(_question(chosen, account))
    asyncio.run(_settle(chosen, account))
    for loss in chosen if as_json else ():
        json_line(line_of(loss, known) | {"settled_for": [account or EVERY_ACCOUNT]})
    who = "every account" if account is None else f"account {account}"
    say(f"{_counted(chosen)} settled for {who}. The console knows it within seconds.")


def line_of(loss: RecordsLost, known: KnownLosses) -> dict[str, Any]:
    """Return a loss, as printed by `--json`."""
    return {
        "id": loss.event_id,
        "reader": loss.reader,
        "topic": loss.topic,
        "partition": loss.partition,
        "first": loss.first,
        "count": loss.count,
        "uncertain": loss.uncertain,
        "opt_outs": loss.opt_outs,
        "noticed_at": time_text(loss.noticed_at),
        "settled_for": sorted(known.settled.get(loss.event_id, ())),
    }


def _row(loss: RecordsLost, known: KnownLosses) -> tuple[str, ...]:
    most = "up to " if loss.uncertain else ""
    whose = {OF_ANYONE: "any contact", OF_NOBODY: "nobody"}.get(loss.opt_outs, "the partition's contacts")
    settled = ", ".join(sorted(known.settled.get(loss.event_id, ()))) or "nobody"
    count = f"{most}{loss.count:,}"
    noticed = str(time_text(loss.noticed_at))
    return loss.event_id, noticed, count, loss.topic, str(loss.partition), loss.reader, whose, settled


def _chosen(known: KnownLosses, ids: Sequence[str], account: str | None) -> list[RecordsLost]:
    """Return the losses to settle. Raises Failed for an unknown ID."""
    for unknown in (each for each in ids if each not in known.losses):
        raise Failed(f"There is no loss {unknown!r}; `trackly losses list --all` lists all.")
    return [
        loss
        for loss in known.open()
        if (not ids or loss.event_id in ids) and account not in known.settled.get(loss.event_id, ())
    ]


def _question(chosen: Sequence[RecordsLost], account: str | None) -> str:
    whose = "every account" if account is None else f"account {account}"
    if all(loss.opt_outs == OF_NOBODY for loss in chosen):
        return f"{_counted(chosen)}. Has everyone concerned been told?"
    return (
        f"{_counted(chosen)}, and opt-outs may be among them. Have the providers' lists of opt-outs been imported for"
        f" {whose}? Contacts will be texted again."
    )


def _counted(chosen: Sequence[RecordsLost]) -> str:
    count = sum(loss.count for loss in chosen)
    return f"{len(chosen)} {'loss' if len(chosen) == 1 else 'losses'} of {count:,} records"


def _say_unrecorded(gaps: Collection[RecordsLost]) -> None:
    if gaps:
        say(f"{sentence(gaps)}.")


async def _known() -> tuple[KnownLosses, Collection[RecordsLost]]:
    """Return what is recorded, and what streams has not recorded yet."""
    settings = BusSettings()
    group = settings.group("streams")
    with Admin(settings) as admin:
        committed = admin.group_offsets(group)
        logs = admin.logs(settings.catalogue[topic].name for topic in OPT_OUTS)
    # Last: what streams has moved past by now has been recorded before.
    known = await read_losses(settings, Decoder(settings).codec)
    return known, unread(settings.catalogue, group, committed, logs).values()


async def _settle(chosen: Iterable[RecordsLost], account: str | None) -> None:
    settings = BusSettings()
    codec = Decoder(settings).codec
    if account is not None:
        account_named(await read_accounts(settings, codec), account)
    by, now = f"command:{issuer() or 'trackly'}", now_ms()
    async with producing(settings) as producer:
        for loss in chosen:
            about = {"topic": loss.topic, "partition": loss.partition, "first": loss.first, "count": loss.count}
            await write_down(
                producer, settings, codec, "losses.settle", loss.event_id, account or OF_NO_ACCOUNT, **about
            )
            record = LossSettled(loss=loss.event_id, account=account or EVERY_ACCOUNT, settled_by=by, settled_at=now)
            key = settlement_key(record.loss, record.account)
            headers = event_headers(record, derived_id(key, "settled"), now)
            topic, value = settings.catalogue["losses"].name, codec.encode(record)
            await (await producer.send(topic, value, key=key.encode(), headers=headers))
