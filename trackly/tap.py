"""`trackly tap`: what is in a topic."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

import typer

from bus.settings import BusSettings
from trackly.decoding import SECRET_TOPICS, Decoder, matches
from trackly.output import is_unread, json_line
from trackly.reading import Start, open_topic, parse_start


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


def _condition(text: str) -> tuple[str, str]:
    path, sign, expected = text.partition("=")
    if not sign or not path:
        raise typer.BadParameter(f"{text!r} is no condition; write status=undeliverable", param_hint="--where")
    return path, expected
