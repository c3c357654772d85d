"""`trackly rejected`: what could not be processed."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Annotated, Any

import typer

from bus.clock import now_ms
from bus.reading.topic import END, Topic
from bus.settings import BusSettings
from schemas.cloudevents import Headers, event_headers
from schemas.codec import CodecError
from schemas.records import RejectedRecord
from trackly.audit import OF_NO_ACCOUNT, write_down
from trackly.decoding import Decoder, time_text
from trackly.listing import Account, Limit, Newest, Since, chosen, newest, print_newest, print_one
from trackly.output import Json, Yes, confirm, json_line, say, show
from trackly.reading import check_account, open_topic
from trackly.writing import producing

rejected = typer.Typer(no_args_is_help=True, add_completion=False)

Reason = Annotated[str | None, typer.Option(help="Only this reason, such as unknown_status.")]


@rejected.callback()
def _rejected() -> None:
    """Records that could not be processed, with the reason."""


@rejected.command("list")
def list_rejected(
    reason: Reason = None,
    account: Account = None,
    since: Since = None,
    may_opt_out: Annotated[
        bool, typer.Option("--may-opt-out", help="Only those that contain an opt-out word or flag.")
    ] = False,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List records that could not be processed: possible opt-outs first, then the rest, each newest last."""

    def is_wanted(record: Any) -> bool:
        if may_opt_out and not record.may_opt_out:
            return False
        return reason in (None, record.reason) and account in (None, record.account)

    found = asyncio.run(newest("rejected", RejectedRecord, "rejected_at", is_wanted, since, limit))
    found.records.sort(key=lambda record: not record.may_opt_out)
    print_newest(
        found,
        as_json,
        ("rejected at", "id", "account", "provider", "stage", "reason", "opt-out?", "error", "source"),
        lambda r: (
            str(time_text(r.rejected_at)),
            r.event_id,
            r.account or "",
            r.provider or "",
            r.stage,
            r.reason,
            "may be" if r.may_opt_out else "",
            r.error,
            f"{r.source_topic}/{r.source_partition}/{r.source_offset}"
            + ("" if r.item_index is None else f" item {r.item_index}"),
        ),
    )
    if not found.records:
        check_account(account)


@rejected.command("show")
def show_rejected(
    event_id: Annotated[str, typer.Argument(metavar="ID", help="The ID, as `trackly rejected list` shows it.")],
    as_json: Json = False,
) -> None:
    """Show one rejected record or item with the reason, the error, and its content."""
    found = asyncio.run(
        newest("rejected", RejectedRecord, "rejected_at", lambda r: bool(r.event_id == event_id), None, 1)
    )
    print_one(found, f"rejected record {event_id}", as_json)


@rejected.command("retry")
def retry(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Only these IDs.")] = None,
    reason: Reason = None,
    account: Account = None,
    since: Since = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Process rejected records again, once you have fixed the cause.

    The whole callback is processed as a new record with its original event ID, even if only one of its items was
    rejected. Items that were processed the first time get the same IDs and are not counted twice. Callbacks are kept
    for 7 days; older ones can be retried only if they were rejected whole.
    """
    if not ids and reason is None and account is None and since is None:
        raise typer.BadParameter("name IDs, or select by --reason, --account, or --since", param_hint="ID")

    check_account(account)

    def is_wanted(record: Any) -> bool:
        return (
            (not ids or record.event_id in ids)
            and reason in (None, record.reason)
            and account in (None, record.account)
        )

    found = asyncio.run(
        chosen("rejected", RejectedRecord, "rejected_at", is_wanted, since, ids or (), "rejected record")
    )
    sources = _sources(found)
    if not sources:
        say("There is nothing to reprocess.")
        return
    if not yes:
        confirm(f"Process {len(sources)} records again?")
    asyncio.run(_retry(sources, found.decoder, as_json))


def _sources(found: Newest) -> dict[str, tuple[RejectedRecord, bytes | None]]:
    """Group rejected records by their source's position: several items of one callback count once."""
    settings = BusSettings()
    sources = {}
    for record, key in zip(found.records, found.keys, strict=True):
        topic = settings.catalogue.named(record.source_topic)
        if topic is None or "streams" not in topic.read_by:
            say(f"{record.event_id} is left out: {record.source_topic} contains webhooks; see `trackly replay`.")
            continue
        sources[f"{record.source_topic}/{record.source_partition}/{record.source_offset}"] = (record, key)
    return sources


async def _retry(sources: dict[str, tuple[RejectedRecord, bytes | None]], decoder: Decoder, as_json: bool) -> None:
    settings = BusSettings()
    gone = 0
    topics: dict[str, Topic] = {}
    async with AsyncExitStack() as stack:
        producer = await stack.enter_async_context(producing(settings))
        counts = Counter(record.account or OF_NO_ACCOUNT for record, _ in sources.values())
        for account, count in counts.items():
            about = "rejected payloads"
            await write_down(producer, settings, decoder.codec, "rejected.retry", about, account, again=count)
        for place, (record, key) in sources.items():
            value, name = record.source_value, record.source_topic
            if value is None:
                if name not in topics:
                    topics[name] = await stack.enter_async_context(open_topic(settings, name, END))
                value = await topics[name].value_at(record.source_partition, record.source_offset)
            if value is None:
                gone += 1
                say(f"{place} is gone: Kafka no longer keeps it.")
                continue
            headers = _headers(decoder, value)
            await (await producer.send(record.source_topic, value, key=key, headers=headers))
            if as_json:
                json_line({"id": record.event_id, "source": place, "reason": record.reason})
            else:
                show(f"{record.event_id}  {place}  {record.reason}")
    say(f"{len(sources) - gone} of {len(sources)} records are being reprocessed.")
    if gone:
        raise typer.Exit(1)


def _headers(decoder: Decoder, value: bytes) -> Headers | None:
    try:
        record = decoder.codec.decode(value)
    except CodecError:
        return None
    return event_headers(record, str(getattr(record, "event_id", "")), now_ms())
