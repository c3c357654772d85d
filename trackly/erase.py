"""`trackly erase`: what is known of a number goes, and what stays for how long is said."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

import typer

from bus.admin import Admin, Partition
from bus.producer import Producer
from bus.settings import BusSettings
from providers.numbers import NotANumber, to_number
from schemas.codec import Codec
from schemas.ids import random_id
from schemas.records import ContactCommand
from schemas.registry import registry_for
from trackly.audit import write_down
from trackly.decoding import time_text
from trackly.errors import Failed, check_topics
from trackly.output import Json, Yes, confirm, json_line, say, show, table
from trackly.reading import read_accounts
from trackly.retained import Retained, retained
from trackly.writing import producing, send_order

WAIT = 30.0
"""Seconds to wait for streams to carry the orders out; with running workers it takes about three."""

ELSEWHERE = (
    "The read model deletes its rows of the number as soon as it reads the order; `trackly read-model status` tells"
    " whether it has. Not in Kafka, and yours to delete: files that were exported, backups, what your customers"
    " received as webhooks, what the providers keep."
)


def erase(
    account: Annotated[str, typer.Argument(help="Id of the account.")],
    number: Annotated[str, typer.Argument(help="The number: 18005551234, '+1 800 555 1234'.")],
    also: Annotated[
        list[str] | None, typer.Option("--list", metavar="LIST", help="A list that the account has no longer.")
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Erase a number from every list of an account, and say what Kafka keeps of it until when.

    Its rows go, those of its messages and clicks too, its state on sms.contacts goes, and it is in no new event until
    the number itself turns up again. A
    contact that was removed stays removed: what is kept of it is a pseudonym, by TRACKLY_PSEUDONYM_KEY.
    """
    try:
        phone = to_number(number)
    except NotANumber:
        raise typer.BadParameter(f"{number!r} is no phone number", param_hint="NUMBER") from None
    settings = BusSettings()
    if settings.pseudonym_key is None:
        raise Failed(
            "TRACKLY_PSEUDONYM_KEY is not set, here and for streams, console and read model; 16 characters or more, the"
            " same for ever (`openssl rand -hex 32`). Without it a removed contact would be"
            " forgotten and texted again."
        )
    if not yes:
        confirm(f"Erase {phone} from every list of {account}? It cannot be undone.")
    codec = Codec(registry_for(settings.schema_registry_url))
    lists = asyncio.run(_lists(settings, codec, account)) + list(also or ())
    with Admin(settings) as admin:
        orders = asyncio.run(_order(settings, codec, account, phone, lists))
        carried_out = _are_carried_out(admin, settings, orders)
    now = time.time_ns() // 1_000_000
    kept = retained(settings.catalogue, now, _segment_ms(settings))
    if as_json:
        for each in kept:
            json_line({"topic": each.topic, "holds": each.holds, "until": time_text(each.until), "why": each.why})
    else:
        show(f"{phone} was erased from {len(lists)} lists. Kafka may hold it, in records of before, until:")
        table(("until", "topic", "in", "why"), map(_row, kept))
    say(ELSEWHERE)
    if not carried_out:
        raise Failed(
            f"The order is given, and streams had not carried it out after {WAIT:g} s: is `trackly streams` running?"
        )


async def _lists(settings: BusSettings, codec: Codec, account: str) -> list[str]:
    view = await read_accounts(settings, codec)
    if account not in view.accounts:
        raise Failed(f"There is no account {account!r}; `trackly export` shows those there are.")
    return sorted(view.lists_of(account))


async def _order(
    settings: BusSettings, codec: Codec, account: str, number: str, lists: list[str]
) -> dict[Partition, int]:
    """Order the erasure on each list, and on none; the offset behind the last order, by partition."""
    async with producing(settings) as producer:
        # Without the number, which must not live on in the log.
        await write_down(producer, settings, codec, "contact.erase", "", account, lists=lists, contacts=1)
        sent = [await _send(producer, settings, codec, account, number, each) for each in (*lists, "")]
        stored = await asyncio.gather(*sent)
    return {(each.topic, each.partition): each.offset + 1 for each in stored}


def _are_carried_out(admin: Admin, settings: BusSettings, orders: dict[Partition, int]) -> bool:
    """Whether streams carries the orders out in time.

    Its offsets move when what a record leads to is durable: the rows of contacts and messages, and the order that it
    sends on to where clicks are.
    """
    deadline = time.monotonic() + WAIT
    links = settings.catalogue["links"].name
    if not _reaches(admin, settings.group("streams"), orders, deadline):
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
        issued_at=time.time_ns() // 1_000_000,
    )
    return await send_order(producer, settings, codec, order)


def _segment_ms(settings: BusSettings) -> dict[str, int]:
    with Admin(settings) as admin:
        there = admin.describe([topic.name for topic in settings.catalogue.values()])
    check_topics((topic.name for topic in settings.catalogue.values()), there)
    return {name: int(topic.settings["segment.ms"]) for name, topic in there.items()}


def _row(each: Retained) -> tuple[str, ...]:
    return str(time_text(each.until))[:10], each.topic, each.holds, each.why
