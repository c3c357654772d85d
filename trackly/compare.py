"""`trackly compare`: today's rules over the callbacks of the past, beside what was written then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Annotated

import typer

from bus.settings import BusSettings
from schemas.codec import CodecError
from schemas.fields import FieldReader
from schemas.records import RawCallback
from schemas.registry import registry_for
from trackly.comparison import Comparison, Difference, Place, lines_of
from trackly.decoding import Decoder
from trackly.history import Progress
from trackly.output import Json, json_line, parsed, say, table
from trackly.reading import Start, open_topic, parse_start

WRITTEN = ("receipts", "inbound", "clicks", "postbacks", "rejected")
"""Topics (short names) that hold what callbacks were read as. Those whose records have no `event_id` stay out."""


def compare(
    begin: Annotated[
        str, typer.Option("--from", metavar="PLACE", help="beginning, an offset, a time, or 2h for two hours ago.")
    ] = "beginning",
    end: Annotated[str, typer.Option("--to", metavar="PLACE", help="Where to end.")] = "end",
    account: Annotated[str | None, typer.Option(help="Only callbacks of this account.")] = None,
    provider: Annotated[str | None, typer.Option(help="Only callbacks of this provider.")] = None,
    most: Annotated[int, typer.Option("--max", min=1, help="Compare this many items at most.")] = 200_000,
    examples: Annotated[int, typer.Option(min=0, help="Examples of each kind of difference.")] = 3,
    as_json: Json = False,
) -> None:
    """Read callbacks again by today's rules and show how the result differs from what was written then.

    Nothing is written. Numbers in examples are masked, and what people wrote is left out. What was read from callbacks
    is kept for a shorter time than the callbacks: begin no earlier than that, or everything before counts as missing.
    """
    start, stop = (parsed(parse_start, text, "--from / --to") for text in (begin, end))
    settings = BusSettings()
    comparison = Comparison(settings.catalogue["raw"].name, examples)

    def is_wanted(callback: RawCallback) -> bool:
        return account in (None, callback.account) and provider in (None, callback.provider)

    differences = asyncio.run(compare_callbacks(settings, comparison, start, stop, is_wanted, most))
    if as_json:
        for line in lines_of(differences):
            json_line(line)
    elif differences:
        table(("count", "then", "now", "differing fields", "example"), map(_row, differences))
    found = sum(difference.count for difference in differences)
    say(f"{comparison.callbacks:,} callbacks, {comparison.same:,} items as they were, {found:,} that differ.")


async def compare_callbacks(
    settings: BusSettings,
    comparison: Comparison,
    start: Start,
    end: Start,
    is_wanted: Callable[[RawCallback], bool],
    most: int,
) -> list[Difference]:
    """Read a stretch of `sms.raw` and what was written of it; the differences. Raises Failed, BrokerUnavailable."""
    decoder = Decoder(settings)
    first = time.time_ns() // 1_000_000
    async with open_topic(settings, settings.catalogue["raw"].name, start, end=end) as topic:
        progress = Progress(topic.size)
        async for record in topic.rest():
            progress.add(1)
            try:
                callback = decoder.codec.decode_as(RawCallback, record.value)
            except CodecError:
                continue  # normalize has rejected it whole
            if is_wanted(callback):
                place: Place = record.partition, record.offset
                comparison.add_callback(place, callback)
                first = min(first, record.timestamp)
            if comparison.items >= most:
                say(f"{most:,} items are enough (--max); callbacks after offset {record.offset} are left out.")
                break
        progress.end()
    registry = registry_for(settings.schema_registry_url)
    for short in WRITTEN:
        # Most records of a busy topic are of other callbacks: their id tells, without reading the rest.
        ids = FieldReader(registry, str(settings.catalogue[short].record), {"event_id"})
        await _add_written(settings, decoder, comparison, short, ids, Start(millis=first))
    return comparison.finish()


async def _add_written(
    settings: BusSettings, decoder: Decoder, comparison: Comparison, short: str, ids: FieldReader, start: Start
) -> None:
    async with open_topic(settings, settings.catalogue[short].name, start) as topic:
        async for record in topic.rest():
            try:
                if short == "rejected" or comparison.is_of_these(ids.read(record.value or b"")["event_id"]):
                    comparison.add_written(decoder.codec.decode(record.value))
            except CodecError:
                continue  # no record of ours: nothing was read from a callback there


def _row(difference: Difference) -> tuple[str, ...]:
    kind = difference.kind
    example = difference.examples[0] if difference.examples else {}
    values = (f"{name}: {then} → {now}" for name, (then, now) in example.get("fields", {}).items())
    shown = "; ".join(values) or str(example.get("event_id", ""))
    return str(difference.count), kind.then, kind.now, ", ".join(kind.fields), shown
