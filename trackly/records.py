"""`trackly tap`, `rejected`, `dead`: what is in the topics."""

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
from trackly.decoding import SECRET_TOPICS, Decoder, matches, time_text
from trackly.output import Json, is_unread, json_line, say, table
from trackly.reading import BEGINNING, Start, open_topic, parse_start

rejected = typer.Typer(no_args_is_help=True, add_completion=False)
dead = typer.Typer(no_args_is_help=True, add_completion=False)

Account = Annotated[str | None, typer.Option(help="Only those of this account.")]
Since = Annotated[str | None, typer.Option(metavar="DURATION", help="Only the last 30m, 2h, 7d.")]
Limit = Annotated[int, typer.Option(min=1, help="How many at most; the newest are shown.")]


def tap(
    topic: Annotated[str, typer.Argument(help="Name of the topic, with or without the prefix.")],
    begin: Annotated[
        str, typer.Option("--from", metavar="PLACE", help="beginning, end, an offset, or an ISO 8601 time.")
    ] = "end",
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH=VALUE", help="Only records whose field has this value; all must fit."),
    ] = None,
    most: Annotated[int | None, typer.Option("--max", min=1, help="End after this many records.")] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="End after this many seconds without a record to show.")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Do not decode: text, or base64.")] = False,
) -> None:
    """Print the records of a topic as JSON lines, as they come, until Ctrl-C.

    A line has topic, partition, offset, timestamp, key, headers and value.
    The value null deletes the key; beside an "error", it could not be decoded.
    The order is that of each partition.
    """
    try:
        start = parse_start(begin)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--from") from None
    conditions = [_condition(text) for text in where or ()]
    if raw and conditions:
        raise typer.BadParameter("fields are only known without --raw", param_hint="--where")
    settings = BusSettings()
    found = settings.catalogue.named(topic)
    if raw and found is not None and found.id in SECRET_TOPICS:
        raise typer.BadParameter(f"{found.name} holds secrets, which are shown decoded and hidden", param_hint="--raw")
    try:
        asyncio.run(_tap(settings, topic, start, conditions, most, timeout, raw))
    except KeyboardInterrupt:
        pass


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


async def _tap(
    settings: BusSettings,
    name: str,
    start: Start,
    conditions: list[tuple[str, str]],
    most: int | None,
    timeout: float | None,
    raw: bool,
) -> None:
    decoder = Decoder(settings)
    shown = 0
    async with open_topic(settings, name, start) as topic:
        shown_at = time.monotonic()
        while True:
            for record in await topic.poll(0.2):
                line = decoder.line(record, raw)
                if not all(matches(line["value"], path, expected) for path, expected in conditions):
                    continue
                json_line(line)
                shown += 1
                shown_at = time.monotonic()
                if shown == most:
                    return
            # Writing would tell, but only when the next record comes.
            if is_unread():
                return
            if timeout is not None and time.monotonic() - shown_at >= timeout and not await topic.is_behind():
                return


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


def _condition(text: str) -> tuple[str, str]:
    path, sign, expected = text.partition("=")
    if not sign or not path:
        raise typer.BadParameter(f"{text!r} is no condition; write status=undeliverable", param_hint="--where")
    return path, expected


def _since(text: str) -> int:
    try:
        return time.time_ns() // 1_000_000 - parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None
