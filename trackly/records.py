"""`trackly rejected`, `dead`: what could not be done."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from bus.settings import BusSettings
from schemas.codec import CodecError
from schemas.records import DeadWebhook, RejectedRecord
from schemas.topics import parse_duration
from trackly.decoding import Decoder, time_text
from trackly.output import Json, json_line, say, table
from trackly.reading import BEGINNING, Start, open_topic

rejected = typer.Typer(no_args_is_help=True, add_completion=False)
dead = typer.Typer(no_args_is_help=True, add_completion=False)

Account = Annotated[str | None, typer.Option(help="Only those of this account.")]
Since = Annotated[str | None, typer.Option(metavar="DURATION", help="Only the last 30m, 2h, 7d.")]
Limit = Annotated[int, typer.Option(min=1, help="How many at most; the newest are shown.")]


@rejected.callback()
def _rejected() -> None:
    """What could not be processed, with the reason."""


@rejected.command("list")
def list_rejected(
    reason: Annotated[str | None, typer.Option(help="Only this reason, such as unknown_status.")] = None,
    account: Account = None,
    since: Since = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List what could not be processed, the newest last."""

    def is_wanted(record: Any) -> bool:
        return reason in (None, record.reason) and account in (None, record.account)

    newest = asyncio.run(_newest("rejected", RejectedRecord, "rejected_at", is_wanted, since, limit))
    _print(
        newest,
        as_json,
        ("rejected at", "account", "provider", "stage", "reason", "error", "source"),
        lambda r: (
            str(time_text(r.rejected_at)),
            r.account or "",
            r.provider or "",
            r.stage,
            r.reason,
            r.error,
            f"{r.source_topic}/{r.source_partition}/{r.source_offset}"
            + ("" if r.item_index is None else f" item {r.item_index}"),
        ),
    )


@dead.callback()
def _dead() -> None:
    """Webhooks that were given up after the last retry."""


@dead.command("list")
def list_dead(
    endpoint: Annotated[str | None, typer.Option(help="Only this endpoint: account/endpoint, or endpoint.")] = None,
    account: Account = None,
    since: Since = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List webhooks that were given up, the newest last."""

    def is_wanted(record: Any) -> bool:
        owner, _, name = record.endpoint.partition("/")
        return endpoint in (None, record.endpoint, name) and account in (None, owner)

    newest = asyncio.run(_newest("webhooks_dead", DeadWebhook, "died_at", is_wanted, since, limit))
    _print(
        newest,
        as_json,
        ("died at", "endpoint", "event", "attempts", "last status", "error", "event id"),
        lambda r: (
            str(time_text(r.died_at)),
            r.endpoint,
            r.event,
            str(r.attempts),
            "" if r.last_status is None else str(r.last_status),
            r.error_class,
            r.event_id,
        ),
    )


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest records that are wanted, oldest first, and what was left out."""

    records: list[Any]
    wanted: int
    unreadable: int
    decoder: Decoder


async def _newest(
    topic: str,
    record_type: type[Any],
    time_field: str,
    is_wanted: Callable[[Any], bool],
    since: str | None,
    limit: int,
) -> Newest:
    settings = BusSettings()
    after = 0 if since is None else _since(since)
    decoder = Decoder(settings)
    heap: list[tuple[int, int, Any]] = []
    wanted = unreadable = 0
    start = Start(millis=after) if after else BEGINNING
    async with open_topic(settings, settings.catalogue[topic].name, start) as opened:
        async for found in opened.rest():
            try:
                record = decoder.codec.decode_as(record_type, found.value)
            except CodecError:
                unreadable += 1
                continue
            at = getattr(record, time_field)
            if at < after or not is_wanted(record):
                continue
            wanted += 1
            # The count decides between equal times, so that records are never compared.
            heapq.heappush(heap, (at, wanted, record))
            if len(heap) > limit:
                heapq.heappop(heap)
    return Newest([record for _, _, record in sorted(heap)], wanted, unreadable, decoder)


def _print(newest: Newest, as_json: bool, columns: tuple[str, ...], row: Callable[[Any], tuple[str, ...]]) -> None:
    if as_json:
        for record in newest.records:
            json_line(newest.decoder.fields(record))
    elif newest.records:
        table(columns, map(row, newest.records))
    else:
        say("There is nothing to list.")
    if newest.wanted > len(newest.records):
        say(f"The newest {len(newest.records)} of {newest.wanted} are listed; --limit lists more.")
    if newest.unreadable:
        say(f"{newest.unreadable} records could not be decoded; `trackly tap` shows them.")


def _since(text: str) -> int:
    try:
        return time.time_ns() // 1_000_000 - parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None
