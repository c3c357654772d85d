"""`trackly erase`: what is known of a number goes, and what stays for how long is said."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

import typer

from bus.admin import Admin
from bus.producer import Producer
from bus.settings import BusSettings
from providers.numbers import NotANumber, to_number
from schemas.codec import Codec
from schemas.ids import contact_key, random_id
from schemas.records import ContactCommand
from schemas.registry import registry_for
from trackly.decoding import time_text
from trackly.errors import Failed, check_topics
from trackly.output import Json, json_line, say, show, table
from trackly.reading import END, open_topic, read_accounts
from trackly.retained import Retained, retained
from trackly.writing import producing, send_order

WAIT = 30.0
"""Seconds to wait for streams to carry the order out; with running workers it takes less than one."""

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
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Erase a number from every list of an account, and say what Kafka keeps of it until when.

    Its rows go, its state on sms.contacts goes, and it is in no new event until the number itself turns up again. A
    contact that was removed stays removed: what is kept of it is a pseudonym, by TRACKLY_PSEUDONYM_KEY.
    """
    try:
        phone = to_number(number)
    except NotANumber:
        raise typer.BadParameter(f"{number!r} is no phone number", param_hint="NUMBER") from None
    settings = BusSettings()
    if settings.pseudonym_key is None:
        raise Failed(
            "TRACKLY_PSEUDONYM_KEY is not set, here and for `trackly streams`: without it a removed contact would be"
            " forgotten and texted again."
        )
    if not yes:
        typer.confirm(f"Erase {phone} from every list of {account}? It cannot be undone", abort=True, err=True)
    codec = Codec(registry_for(settings.schema_registry_url))
    lists = asyncio.run(_lists(settings, codec, account)) + list(also or ())
    carried_out = asyncio.run(_order(settings, codec, account, phone, lists))
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


async def _order(settings: BusSettings, codec: Codec, account: str, number: str, lists: list[str]) -> bool:
    """Order the erasure on each list, and on none; whether all of it was carried out in time."""
    keys = {contact_key(account, list_number, number).encode() for list_number in lists}
    contacts = settings.catalogue["contacts"].name
    async with open_topic(settings, contacts, END) as topic:
        async with producing(settings) as producer:
            sent = [await _send(producer, settings, codec, account, number, each) for each in (*lists, "")]
            await asyncio.gather(*sent)
        deadline = time.monotonic() + WAIT
        while keys and time.monotonic() < deadline:
            keys -= {record.key for record in await topic.poll(0.2) if record.value is None and record.key is not None}
    return not keys


async def _send(
    producer: Producer, settings: BusSettings, codec: Codec, account: str, number: str, list_number: str
) -> asyncio.Future[object]:
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
