"""`trackly compare`: applies today's rules to past callbacks, and compares the results with what was written then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

import typer

from bus.admin import Admin
from bus.clock import now_ms
from bus.reading.topic import Start
from bus.settings import BusSettings
from bus.tables.store import RocksStore
from schemas.codec import Codec, CodecError
from schemas.fields import FieldReader
from schemas.records import RawCallback
from schemas.registry import registry_for
from trackly.commands.compare.comparison import Compared, Comparison, Difference, Tally, lines_of
from trackly.commands.compare.findings import Findings
from trackly.commands.compare.scope_change import Reach, line_of, scope_change
from trackly.errors import check_topics
from trackly.output import Json, json_line, parsed, say, table
from trackly.progress import Progress
from trackly.reading import check_account, open_topic, parse_start, read_accounts
from trackly.writing import producing

WRITTEN = ("receipts", "inbound", "clicks", "postbacks", "rejected")
"""Topics (short names) with the results of callbacks."""

CACHE_BYTES = 32 << 20
"""Memory for the comparison, in bytes. Items are looked up in random order, so more would hardly help for a week."""


def compare(
    begin: Annotated[
        str, typer.Option("--from", metavar="PLACE", help="beginning, an offset, a time, or 2h for two hours ago.")
    ] = "beginning",
    end: Annotated[str, typer.Option("--to", metavar="PLACE", help="Where to end.")] = "end",
    account: Annotated[str | None, typer.Option(help="Only callbacks of this account.")] = None,
    provider: Annotated[str | None, typer.Option(help="Only callbacks of this provider.")] = None,
    most: Annotated[int | None, typer.Option("--max", min=1, help="Stop after about this many items.")] = None,
    examples: Annotated[int, typer.Option(min=0, help="Number of examples for each kind of difference.")] = 3,
    everything: Annotated[bool, typer.Option("--all", help="Also write unchanged items to the topic.")] = False,
    no_topic: Annotated[bool, typer.Option("--no-topic", help="Write nothing to Kafka.")] = False,
    scope: Annotated[
        Literal["account"] | None,
        typer.Option("--opt-out-scope", help="Show instead what this opt-out scope would have removed."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Process past callbacks with today's rules and show how the results differ from what was written then.

    Each item that differs is written in full to sms.comparisons, which keeps it for two days; no service reads it. In
    the examples printed here, numbers are masked and texts are left out. Results are kept for a shorter time than
    callbacks: start no earlier than that, or everything before counts as new.

    With --opt-out-scope account, it reads the opt-outs and complaints of one account instead, and shows who asked on
    one list, may still be texted from another, and could not be with that setting. Nothing is written.
    """
    start, stop = (parsed(parse_start, text, "--from / --to") for text in (begin, end))
    if scope is not None:
        if account is None:
            raise typer.BadParameter("is missing; name one account", param_hint="--account")
        _print_scope(*asyncio.run(scope_change(account, start, stop, examples)), as_json)
        return
    settings = BusSettings()
    codec = Codec(registry_for(settings.schema_registry_url))
    topic = settings.catalogue["comparisons"].name
    tally, run = Tally(examples), datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    if not no_topic:
        with Admin(settings) as admin:
            check_topics([topic], admin.describe([topic]))

    def is_wanted(callback: RawCallback) -> bool:
        return account in (None, callback.account) and provider in (None, callback.provider)

    async def run_it(comparison: Comparison) -> int:
        first = await _read_callbacks(settings, codec, comparison, start, stop, is_wanted, most)
        async with AsyncExitStack() as stack:
            producer = None
            if not no_topic:
                producer = await stack.enter_async_context(producing(settings, linger_ms=20))
            findings = Findings(run, tally, codec, topic, producer, everything)
            for short in WRITTEN:
                async for compared in _written(settings, comparison, short, Start(millis=first)):
                    await findings.add(compared)
            for compared in comparison.rest():
                await findings.add(compared)
            await findings.flush()
        return findings.written

    with TemporaryDirectory(prefix="trackly-compare-") as directory:
        store = RocksStore(Path(directory) / "items", CACHE_BYTES)
        accounts = asyncio.run(read_accounts(settings, codec)).accounts
        comparison = Comparison(settings.catalogue["raw"].name, codec, store, accounts)
        try:
            written = asyncio.run(run_it(comparison))
        finally:
            store.close()
    _print(tally.differences, as_json)
    found = sum(difference.count for difference in tally.differences)
    say(f"{comparison.callbacks:,} callbacks, {tally.same:,} items unchanged, {found:,} that differ.")
    if not comparison.callbacks:
        check_account(account)
    if written:
        say(f"{written:,} items are on {topic}: trackly tap {topic} --from beginning --where run={run}")


async def _read_callbacks(
    settings: BusSettings,
    codec: Codec,
    comparison: Comparison,
    start: Start,
    end: Start,
    is_wanted: Callable[[RawCallback], bool],
    most: int | None,
) -> int:
    """Read callbacks by today's rules; returns when the first was written, in ms."""
    first = now_ms()
    async with open_topic(settings, settings.catalogue["raw"].name, start, end=end) as topic:
        progress = Progress("callbacks", topic.size)
        async for record in topic.rest():
            progress.add(1)
            try:
                callback = codec.decode_as(RawCallback, record.value)
            except CodecError:
                continue  # normalize has rejected all of it
            if is_wanted(callback):
                comparison.add_callback((record.partition, record.offset), callback)
                first = min(first, record.timestamp)
            if most is not None and comparison.items >= most:
                say(f"{most:,} items reached (--max); later callbacks are left out.")
                break
        progress.end()
    return first


async def _written(settings: BusSettings, comparison: Comparison, short: str, start: Start) -> AsyncIterator[Compared]:
    """Yield a topic's (catalogue short name) results for the callbacks that were read."""
    entry = settings.catalogue[short]
    # Most records of a busy topic are from other callbacks: their id shows that without decoding them.
    ids = FieldReader(registry_for(settings.schema_registry_url), str(entry.record), {"event_id"})
    async with open_topic(settings, entry.name, start) as topic:
        progress = Progress(entry.name, topic.size)
        async for record in topic.rest():
            progress.add(1)
            value = record.value or b""
            try:
                is_wanted = short == "rejected" or comparison.is_of_these(ids.read(value)["event_id"])
                compared = comparison.add_written(value) if is_wanted else None
            except CodecError:
                continue  # not our record, so it did not come from a callback
            if compared is not None:
                yield compared
        progress.end()


def _print_scope(people: int, found: list[Reach], as_json: bool) -> None:
    if as_json:
        for each in found:
            json_line(line_of(each))
    elif found:
        table(
            ("list", "would be removed", "examples"),
            ((each.list_number, f"{each.would_be_removed:,}", ", ".join(each.examples)) for each in found),
        )
    say(f"{people:,} people opted out or complained in this period.")


def _print(differences: list[Difference], as_json: bool) -> None:
    if as_json:
        for line in lines_of(differences):
            json_line(line)
    elif differences:
        table(("count", "then", "now", "differing fields", "example"), map(_row, differences))


def _row(difference: Difference) -> tuple[str, ...]:
    kind = difference.kind
    example = difference.examples[0] if difference.examples else {}
    values = (f"{name}: {then} → {now}" for name, (then, now) in example.get("fields", {}).items())
    shown = "; ".join(values) or str(example.get("event_id", ""))
    return str(difference.count), kind.then, kind.now, ", ".join(kind.fields), shown
