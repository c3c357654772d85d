"""`trackly erase`: erases a number, and shows what remains and for how long."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

import typer

from bus.admin import Admin, Partition
from bus.clock import now_ms
from bus.kept_key import check_key
from bus.producer import Producer
from bus.settings import BusSettings
from schemas.codec import Codec
from schemas.ids import random_id
from schemas.records import ContactCommand
from schemas.registry import registry_for
from trackly.audit import write_down
from trackly.commands.contact.command import contact_number
from trackly.commands.erase.remains import remains
from trackly.commands.erase.retained import Retained, retained
from trackly.decoding import time_text
from trackly.errors import Failed, check_topics
from trackly.output import Json, Yes, confirm, json_line, say, show, table
from trackly.reading import account_named, read_accounts
from trackly.writing import producing, send_order

WAIT = 30.0
"""Seconds to wait for streams to carry out the commands; it usually takes about three."""

ELSEWHERE = (
    "The read model deletes its rows of the number as soon as it reads the order; `trackly read-model status` shows "
    "whether it has. Outside of Kafka, you must delete it yourself: exported files, backups, webhooks that your "
    "customers received, and the providers' data."
)


def erase(
    account: Annotated[str, typer.Argument(help="The account's ID.")],
    number: Annotated[
        str, typer.Argument(help="The number: 18005551234, '+1 800 555 1234'; or the ID of a WhatsApp user.")
    ],
    also: Annotated[
        list[str] | None, typer.Option("--list", metavar="LIST", help="A list that the account no longer has.")
    ] = None,
    country: Annotated[
        str | None,
        typer.Option("--country", help="Country of a number without a country code, in two letters: US, GB."),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Erase nothing; check whether compacted topics still contain the number, and exit with 1 if so.",
        ),
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Erase a number from every list of an account, and show what Kafka keeps of it and until when.

    This deletes its rows, those of its messages and clicks, and its state on sms.contacts. No new event contains it
    until the number itself appears again. A removed contact stays removed: what is kept is a pseudonym, made with
    TRACKLY_PSEUDONYM_KEY.
    """
    phone = contact_number(number, country)
    settings = BusSettings()
    if verify:
        _verify(settings, account, phone, as_json)
        return
    if settings.pseudonym_key is None:
        raise Failed(
            "TRACKLY_PSEUDONYM_KEY is not set, here and for streams, console and read model; 16 characters or more, "
            "and never change it (`openssl rand -hex 32`). Without it, a removed contact would be forgotten and texted "
            "again."
        )
    if not yes:
        confirm(f"Erase {phone} from every list of {account}? This cannot be undone.")
    codec = Codec(registry_for(settings.schema_registry_url))
    closed_after_ms = _closed_after_ms(settings)  # and that all topics exist, before anything is done
    asyncio.run(check_key(settings))
    lists = asyncio.run(_lists(settings, codec, account)) + list(also or ())
    with Admin(settings) as admin:
        orders = asyncio.run(_order(settings, codec, account, phone, lists))
        carried_out = _are_carried_out(admin, settings, orders)
    now = now_ms()
    kept = retained(settings.catalogue, now, closed_after_ms)
    if as_json:
        for each in kept:
            json_line({"topic": each.topic, "holds": each.holds, "until": time_text(each.until), "why": each.why})
    else:
        show(f"{phone} was erased from {len(lists)} lists. Kafka may keep it in older records until:")
        table(("until", "topic", "in", "why"), map(_row, kept))
    say(ELSEWHERE)
    if not carried_out:
        raise Failed(f"Requested, but streams had not carried it out after {WAIT:g} s. Is `trackly streams` running?")


def _verify(settings: BusSettings, account: str, number: str, as_json: bool) -> None:
    left = asyncio.run(remains(settings, account, number))
    if as_json:
        for each in left:
            json_line(each._asdict())
    elif left:
        table(("topic", "partition", "records", "deletions"), ([str(value) for value in each] for each in left))
    if left:
        raise Failed(
            "Kafka still has the number. It cleans a partition twice in 17 days, first of replaced records, then of "
            "deletions; this requires that streams runs, and is faster if segment.ms is shorter than 7 days."
        )
    if not as_json:
        show(f"No compacted topic holds {number} of {account}.")


async def _lists(settings: BusSettings, codec: Codec, account: str) -> list[str]:
    view = await read_accounts(settings, codec)
    account_named(view, account)
    return sorted(view.lists_of(account))


async def _order(
    settings: BusSettings, codec: Codec, account: str, number: str, lists: list[str]
) -> dict[Partition, int]:
    """Send a command to erase for each list, and for data outside of lists. Returns the offset after the last one, by
    partition."""
    async with producing(settings) as producer:
        # Without the number, which must not live on in the log.
        await write_down(producer, settings, codec, "contact.erase", "", account, lists=lists, contacts=1)
        sent = [await _send(producer, settings, codec, account, number, each) for each in (*lists, "")]
        stored = await asyncio.gather(*sent)
    return {(each.topic, each.partition): each.offset + 1 for each in stored}


def _are_carried_out(admin: Admin, settings: BusSettings, orders: dict[Partition, int]) -> bool:
    """Whether streams carries out the commands in time.

    Its offsets move once a record's results are durable: rows of contacts and messages, and the command forwarded to
    the clicks.
    """
    deadline = time.monotonic() + WAIT
    links, commands = settings.catalogue["links"].name, settings.catalogue["commands"].name
    if not _reaches(admin, settings.group("streams"), orders, deadline):
        return False
    # Commands are forwarded from a channel's id to the person's number, and from the number to every such id.
    for _ in range(2):
        passed_on = {(commands, partition): end for partition, end in admin.end_offsets(commands).items()}
        if not _reaches(admin, settings.group("streams"), passed_on, deadline):
            return False
    ends = {(links, partition): end for partition, end in admin.end_offsets(links).items()}
    return _reaches(admin, settings.group("streams"), ends, deadline)


def _reaches(admin: Admin, group: str, wanted: dict[Partition, int], deadline: float) -> bool:
    while True:
        done = admin.group_offsets(group)
        if all(done.get(partition, 0) >= offset for partition, offset in wanted.items()):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)


async def _send(
    producer: Producer, settings: BusSettings, codec: Codec, account: str, number: str, list_number: str
) -> asyncio.Future[Any]:
    order = ContactCommand(
        event_id=random_id(),
        command="erase",
        account=account,
        list_number=list_number,
        phone_number=number,
        issued_by="trackly erase",
        issued_at=now_ms(),
    )
    return await send_order(producer, settings, codec, order)


def _closed_after_ms(settings: BusSettings) -> dict[str, int]:
    with Admin(settings) as admin:
        there = admin.describe([topic.name for topic in settings.catalogue.values()])
    check_topics((topic.name for topic in settings.catalogue.values()), there)
    return {name: topic.closed_after_ms for name, topic in there.items()}


def _row(each: Retained) -> tuple[str, ...]:
    return str(time_text(each.until))[:10], each.topic, each.holds, each.why
