"""`trackly replay`: webhooks sent again. The command is a record on Kafka; sinks carry it out."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from msgspec.structs import replace

from accounts.urls import POLL
from bus.clock import now_ms
from bus.producer import Producer
from bus.reading.ranges import offsets_between, open_range
from bus.reading.topic import BEGINNING
from bus.settings import BusSettings
from operations.replays import ENDED, EVENTS, MOST_IDS, Known, Order
from schemas.cloudevents import event_headers
from schemas.codec import Codec, CodecError
from schemas.records import EndpointConfig, ReplayCommand, ReplayProgress
from schemas.registry import registry_for
from schemas.topics import parse_duration
from sinks.replays.replay import ReplayFailed, failed_ids, selected
from sinks.replays.selection import Selection, topics_of
from trackly.audit import issuer, write_down
from trackly.decoding import time_text
from trackly.errors import Failed
from trackly.output import Json, Yes, confirm, json_line, say, show, table
from trackly.reading import current_accounts, open_topic
from trackly.writing import endpoint_named, producing

TELL_EVERY = 5.0
"""Seconds between progress lines of a long count."""

replay = typer.Typer(add_completion=False, invoke_without_command=True)

ReplayId = Annotated[str, typer.Argument(metavar="ID", help="The replay, as `trackly replay list` shows it.")]


@replay.callback()
def order(
    context: typer.Context,
    endpoint: Annotated[str | None, typer.Option(metavar="ACCOUNT/ENDPOINT", help="The endpoint to send to.")] = None,
    begin: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Written since: 2026-01-15T10:30:00Z, or 2h."),
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Written before; by default now.")] = None,
    event: Annotated[list[str] | None, typer.Option(help="Only these events, such as delivery.")] = None,
    event_id: Annotated[list[str] | None, typer.Option("--id", help="Only these webhook-ids.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only events that were tried but never accepted.")] = False,
    dead: Annotated[bool, typer.Option("--dead", help="Only dead letters.")] = False,
    rate: Annotated[
        float | None, typer.Option(min=0.1, help="Maximum webhooks per second; by default TRACKLY_REPLAY_RATE.")
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Send webhooks to one endpoint again, with their original bodies and webhook-ids. Counts first, then asks.

    The times are those at which trackly wrote the events, which it keeps for 30 days. Sinks carries out the replay
    alongside new webhooks. A replay survives restarts; `trackly replay show` shows its progress, and `trackly replay
    stop` ends it.
    """
    if context.invoked_subcommand is not None:
        return
    if endpoint is None:
        raise typer.BadParameter("name the endpoint, or one of the commands list, show, stop", param_hint="--endpoint")
    if failed and dead:
        raise typer.BadParameter("choose --failed or --dead", param_hint="--failed")
    if begin is None and not event_id:
        raise typer.BadParameter("give a time, or IDs with --id", param_hint="--from")
    if len(event_id or ()) > MOST_IDS:
        raise typer.BadParameter(f"name {MOST_IDS} at most", param_hint="--id")
    wanted = Order(
        endpoint,
        "failed" if failed else "dead" if dead else "all",
        events=tuple(event or ()),
        event_ids=tuple(event_id or ()),
        from_at=0 if begin is None else _time(begin, "--from"),
        to_at=None if end is None else _time(end, "--to"),
        rate=rate,
    )
    if wanted.to_at is not None and wanted.to_at <= wanted.from_at:
        raise typer.BadParameter("is not after --from, so it selects nothing", param_hint="--to")
    config = endpoint_named(current_accounts(), endpoint)
    if config.url == POLL:
        raise Failed(f"Nothing is sent to {endpoint}: its receiver polls for its events, including old ones.")
    _check_events(wanted, config)
    count = asyncio.run(_count(wanted, config))
    if count == 0:
        say("There is nothing to send again.")
        return
    say(f"{count} webhooks will be sent again to {endpoint}, {config.url}.")
    if not yes:
        confirm("Send them?")
    order_replays([wanted], as_json)


@replay.command("list")
def list_replays(as_json: Json = False) -> None:
    """List the replays of the last 30 days and their progress, newest last."""
    known = sorted(asyncio.run(_known()).values(), key=lambda each: each.command.issued_at)
    if as_json:
        for each in known:
            json_line(_fields(each))
    elif known:
        table(
            ("replay", "requested at", "endpoint", "what", "state", "sent", "left"),
            (
                (
                    each.command.replay_id,
                    str(time_text(each.command.issued_at)),
                    each.command.endpoint,
                    each.command.outcome,
                    each.state,
                    str(each.progress.sent if each.progress else 0),
                    "" if each.left is None else str(each.left),
                )
                for each in known
            ),
        )
    else:
        say("There are no replays.")


@replay.command("show")
def show_replay(replay_id: ReplayId, as_json: Json = False) -> None:
    """Show one replay: what it covers, its state, how many webhooks were sent, and how many records are left to
    read.
    """
    fields = _fields(_one(asyncio.run(_known()), replay_id))
    if as_json:
        json_line(fields)
        return
    for name, value in fields.items():
        shown = ", ".join(value) if isinstance(value, tuple) else "" if value is None else str(value)
        show(f"{name:<10}  {shown}".rstrip())


@replay.command("stop")
def stop_replay(replay_id: ReplayId, as_json: Json = False) -> None:
    """Stop a replay. Webhooks that it has already handed over are still sent."""
    known = _one(asyncio.run(_known()), replay_id)
    if known.state in ENDED:
        raise Failed(f"Replay {replay_id} has ended: {known.state}.")
    stopped = replace(known.command, stopped_at=known.command.stopped_at or now_ms())
    asyncio.run(_write("replay.stop", [stopped]))
    if as_json:
        json_line(_fields(Known(stopped, known.progress)))
    else:
        say(f"Replay {replay_id} has been told to stop.")


def order_replays(orders: list[Order], as_json: bool) -> None:
    """Write commands, and print their ids."""
    commands = [each.command(issuer(), now_ms()) for each in orders]
    asyncio.run(_write("replay.order", commands))
    for command in commands:
        if as_json:
            json_line(_fields(Known(command, None)))
        else:
            show(command.replay_id)
            say(f"Ordered for {command.endpoint}; `trackly replay show {command.replay_id}` shows its progress.")


async def _count(order: Order, config: EndpointConfig) -> int:
    settings = BusSettings()
    codec = Codec(registry_for(settings.schema_registry_url))
    command = order.command(issuer(), now_ms())
    failed = None
    if command.outcome == "failed":
        try:
            failed = await failed_ids(settings, codec, command.endpoint, command.from_at)
        except ReplayFailed as error:
            raise Failed(f"{error}.") from None
    selection = Selection(command, config, failed)
    topics = topics_of(command, config)
    positions, ends = await offsets_between(settings, topics, command.from_at, command.to_at)
    count, told_at = 0, time.monotonic()
    async with open_range(settings, positions, ends) as source:
        total = source.left
        async for _, task in selected(settings, codec, source, selection):
            count += task is not None
            if time.monotonic() - told_at >= TELL_EVERY:
                told_at = time.monotonic()
                say(f"{total - source.left} of {total} records read, {count} webhooks found")
    return count


async def _write(action: str, commands: list[ReplayCommand]) -> None:
    settings = BusSettings()
    codec = Codec(registry_for(settings.schema_registry_url))
    async with producing(settings) as producer:
        for command in commands:
            account, _, endpoint = command.endpoint.partition("/")
            told = {"replay_id": command.replay_id, "from_at": command.from_at, "to_at": command.to_at}
            await write_down(producer, settings, codec, action, f"endpoint {endpoint}", account, **told)
            await _send(producer, settings, codec, command)


async def _send(producer: Producer, settings: BusSettings, codec: Codec, command: ReplayCommand) -> None:
    headers = event_headers(command, command.replay_id, now_ms())
    topic = settings.catalogue["webhooks_replays"].name
    await (await producer.send(topic, codec.encode(command), key=command.replay_id.encode(), headers=headers))


async def _known() -> dict[str, Known]:
    settings = BusSettings()
    codec = Codec(registry_for(settings.schema_registry_url))
    commands: dict[str, ReplayCommand] = {}
    progress: dict[str, ReplayProgress] = {}
    async with open_topic(settings, settings.catalogue["webhooks_replays"].name, BEGINNING) as topic:
        async for record in topic.rest():
            try:
                found = codec.decode(record.value)
            except CodecError:
                continue
            if isinstance(found, ReplayCommand):
                commands[found.replay_id] = found
            elif isinstance(found, ReplayProgress):
                progress[found.replay_id] = found
    return {name: Known(command, progress.get(name)) for name, command in commands.items()}


def _fields(known: Known) -> dict[str, Any]:
    """Return a replay in JSON form."""
    command, progress = known.command, known.progress
    return {
        "replay_id": command.replay_id,
        "endpoint": command.endpoint,
        "outcome": command.outcome,
        "events": command.events,
        "event_ids": command.event_ids,
        "from_at": time_text(command.from_at),
        "to_at": time_text(command.to_at),
        "rate": command.rate,
        "issued_by": command.issued_by,
        "issued_at": time_text(command.issued_at),
        "state": known.state,
        "sent": 0 if progress is None else progress.sent,
        "left": known.left,
        "error": None if progress is None else progress.error,
        "updated_at": None if progress is None else time_text(progress.updated_at),
    }


def _one(known: dict[str, Known], replay_id: str) -> Known:
    if replay_id not in known:
        raise Failed(f"There is no replay {replay_id!r}; `trackly replay list` shows all replays.")
    return known[replay_id]


def _check_events(order: Order, config: EndpointConfig) -> None:
    for event in order.events:
        if event not in EVENTS:
            raise typer.BadParameter(f"{event!r} is not one of {', '.join(EVENTS)}", param_hint="--event")
        if event not in config.events:
            raise Failed(f"{order.endpoint} gets no {event} events; it gets {', '.join(config.events)}.")


def _time(text: str, option: str) -> int:
    try:
        return now_ms() - parse_duration(text)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a valid time: write 2026-01-15T10:30:00Z, or 2h for two hours ago", param_hint=option
        ) from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
