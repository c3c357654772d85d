"""Lists the newest matching records, as a table or as JSON."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from bus.clock import now_ms
from bus.reading.topic import BEGINNING, Start
from bus.settings import BusSettings
from schemas.codec import CodecError
from schemas.topics import parse_duration
from trackly.conditions import text_of
from trackly.decoding import Decoder
from trackly.errors import Failed
from trackly.output import json_line, parsed, say, show, table
from trackly.reading import open_topic

Account = Annotated[str | None, typer.Option(help="Only this account's.")]
Since = Annotated[str | None, typer.Option(metavar="DURATION", help="Only the last 30m, 2h, 7d.")]
Limit = Annotated[int, typer.Option(min=1, help="Maximum number of entries; the newest are shown.")]


EVERYTHING = 1_000_000
"""Maximum records to search when some are selected."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest matching records, oldest first, with their keys, and what was left out."""

    records: list[Any]
    keys: list[bytes | None]
    wanted: int
    unreadable: int
    decoder: Decoder


async def newest(
    topic: str,
    record_type: type[Any],
    time_field: str,
    is_wanted: Callable[[Any], bool],
    since: str | None,
    limit: int,
) -> Newest:
    """Return the newest matching records of a topic (catalogue short name), by one of their times. Raises Failed."""
    settings = BusSettings()
    after = 0 if since is None else millis_since(since)
    decoder = Decoder(settings)
    heap: list[tuple[int, int, Any, bytes | None]] = []
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
            # The count breaks ties between equal times, so records are never compared.
            heapq.heappush(heap, (at, wanted, record, found.key))
            if len(heap) > limit:
                heapq.heappop(heap)
    kept = sorted(heap)
    return Newest([entry[2] for entry in kept], [entry[3] for entry in kept], wanted, unreadable, decoder)


async def chosen(
    topic: str,
    record_type: type[Any],
    time_field: str,
    is_wanted: Callable[[Any], bool],
    since: str | None,
    ids: Collection[str],
    what: str,
) -> Newest:
    """Return all matching records, found as by `newest`. Raises Failed if one of the ids is not among them."""
    found = await newest(topic, record_type, time_field, is_wanted, since, EVERYTHING)
    missing = set(ids) - {record.event_id for record in found.records}
    if missing:
        raise Failed(f"There is no {what} {', '.join(sorted(missing))}.")
    return found


def nothing_else(record: Any) -> dict[str, Any]:
    """Return no further fields of a record."""
    return {}


def print_newest(
    found: Newest,
    as_json: bool,
    columns: tuple[str, ...],
    row: Callable[[Any], tuple[str, ...]],
    more: Callable[[Any], dict[str, Any]] = nothing_else,
) -> None:
    """Print the records, and say what was left out. `more` are further fields of a record in JSON."""
    if as_json:
        for record in found.records:
            json_line(found.decoder.fields(record) | more(record))
    elif found.records:
        table(columns, map(row, found.records))
    else:
        say("There is nothing to list.")
    if found.wanted > len(found.records):
        say(f"The newest {len(found.records)} of {found.wanted} are listed; --limit lists more.")
    if found.unreadable:
        say(f"{found.unreadable} records could not be decoded; `trackly tap` shows them.")


def print_one(found: Newest, what: str, as_json: bool, more: Callable[[Any], dict[str, Any]] = nothing_else) -> None:
    """Print all fields of the newest record found, and `more`. Raises Failed if there is none."""
    if not found.records:
        raise Failed(f"There is no {what}.")
    fields = found.decoder.fields(found.records[-1]) | more(found.records[-1])
    value = getattr(found.records[-1], "source_value", None)
    if value is not None:
        try:
            fields["source_value"] = found.decoder.fields(found.decoder.codec.decode(value))
        except CodecError:
            pass
    if as_json:
        json_line(fields)
        return
    width = max(map(len, fields))
    for name, field in fields.items():
        show(f"{name.ljust(width)}  {text_of(field)}")


def millis_since(text: str) -> int:
    """Return the time that long ago, in ms. Raises typer.BadParameter."""
    return now_ms() - parsed(parse_duration, text, "--since")
