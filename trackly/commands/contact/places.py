"""`trackly contact place` and `places`: sets where contacts are, and shows when they may be texted."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from bus.clock import now_ms
from bus.producer import Producer
from bus.settings import BusSettings
from hours.places import check_state, check_zone
from hours.policy import CAPPED
from schemas.cloudevents import event_headers
from schemas.codec import Codec
from schemas.ids import derived_id, recipient_key
from schemas.records import ContactPlace
from schemas.registry import registry_for
from trackly.audit import issuer, write_down
from trackly.commands.contact.spreadsheets import check_text
from trackly.commands.contact.suppressions import NUMBER_COLUMNS
from trackly.output import Json, Yes, confirm, json_line, parsed, say
from trackly.progress import Progress
from trackly.reading import account_named, read_accounts
from trackly.writing import producing
from trackly.written import country_of, written_number

ZONE_COLUMNS = ("time_zone", "timezone", "tz")
STATE_COLUMNS = ("state", "postal_state", "region")

CHUNK = 5_000
EXAMPLES = 5
"""Maximum lines that are named."""


class BadPlace(ValueError):
    """A line without certain content. The text says why."""


class Located(NamedTuple):
    """A number, and its location; both null: the number decides."""

    number: str
    time_zone: str | None
    state: str | None


def place(
    account: Annotated[str, typer.Argument(help="The account's ID.")],
    number: Annotated[str, typer.Argument(help="The contact's number.")],
    time_zone: Annotated[
        str | None, typer.Option("--time-zone", help="The contact's time zone: America/New_York.")
    ] = None,
    state: Annotated[str | None, typer.Option("--state", help="The state of the contact's postal address: TX.")] = None,
    country: Annotated[
        str | None, typer.Option("--country", help="Country of a number without a country code: US.")
    ] = None,
) -> None:
    """Set where a contact is, which takes precedence over its number. Without options, the number decides again."""
    region = None if country is None else parsed(country_of, country, "--country")
    phone = parsed(lambda text: written_number(text, region), number, "NUMBER")
    zone = None if time_zone is None else parsed(_zone, time_zone, "--time-zone")
    asyncio.run(_write(account, [Located(phone, zone, None if state is None else parsed(_state, state, "--state"))]))
    say("Stored: checks use it within about a second.")


def places(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help="CSV or JSON lines.")
    ],
    account: Annotated[str, typer.Option("--account", help="The account's ID.")],
    country: Annotated[
        str | None, typer.Option("--country", help="Country of numbers without a country code: US.")
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Set where the contacts in a file are: columns number, time_zone (America/New_York), state (TX).

    The whole file is read before anything is written. Lines that are not certain are counted and skipped. Running it
    again changes nothing.
    """
    region = None if country is None else parsed(country_of, country, "--country")
    total = rejected = 0
    examples: list[str] = []
    for line, found in read_places(file, region):
        total += 1
        if isinstance(found, BadPlace):
            rejected += 1
            examples += [f"  line {line:,}: {found}"] if len(examples) < EXAMPLES else []
    if rejected:
        say(f"{total:,} lines: {rejected:,} are uncertain and are skipped.")
        for example in examples:
            say(example)
        if not yes:
            confirm("Store the others?")
    taken = (found for _, found in read_places(file, region) if isinstance(found, Located))
    asyncio.run(_write(account, taken, file.name, total - rejected))
    if as_json:
        json_line({"lines": total, "taken": total - rejected, "rejected": rejected})
        return
    say(f"{total:,} lines: {total - rejected:,} places stored, {rejected:,} lines rejected.")


def read_places(path: Path, country: str | None) -> Iterator[tuple[int, Located | BadPlace]]:
    """Yield a file's lines by number: their content, or what is wrong with them. Raises Failed for what is no text."""
    check_text(path)
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        if path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, _read(_object(line), country)
            return
        first = file.readline()
        file.seek(0)
        rows = csv.DictReader(file, delimiter=max(",;\t", key=first.count))
        rows.fieldnames = ["_".join(name.lower().split()) for name in rows.fieldnames or ()]
        for row in rows:
            if any(isinstance(value, str) and value.strip() for value in row.values()):
                yield rows.line_num, _read(row, country)


def _object(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _read(row: Any, country: str | None) -> Located | BadPlace:
    if not isinstance(row, dict):
        return BadPlace("is not a JSON object")
    number, zone, state = (_cell(row, names) for names in (NUMBER_COLUMNS, ZONE_COLUMNS, STATE_COLUMNS))
    if not number:
        return BadPlace("has no number: name the columns number, time_zone, state")
    if not zone and not state:
        return BadPlace("has neither a time zone nor a state")
    try:
        phone = written_number(number, country)
        return Located(phone, _zone(zone) if zone else None, _state(state) if state else None)
    except ValueError as error:
        return BadPlace(str(error))


def _cell(row: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((str(row[name] or "").strip() for name in names if name in row), "")


def _zone(text: str) -> str:
    check_zone(text)
    return text


def _state(text: str) -> str:
    state = text.upper().removeprefix("US-")
    check_state(state)
    return state


async def _write(account: str, located: Iterable[Located], about: str = "", count: int = 1) -> None:
    settings = BusSettings()
    codec = Codec(registry_for(settings.schema_registry_url))
    account_named(await read_accounts(settings, codec), account)
    progress = Progress("places", count)
    async with producing(settings, linger_ms=5) as producer:
        await write_down(producer, settings, codec, "contact.place", about, account, contacts=count)
        done = 0
        try:
            rest = iter(located)
            while some := list(islice(rest, CHUNK)):
                sent = [await _send(producer, settings, codec, account, each) for each in some]
                await asyncio.gather(*sent)
                done += len(some)
                progress.tell(done)
        finally:
            progress.end()


async def _send(
    producer: Producer, settings: BusSettings, codec: Codec, account: str, found: Located
) -> asyncio.Future[Any]:
    number, zone, state = found
    now = now_ms()
    record = ContactPlace(
        account=account,
        phone_number=number,
        time_zone=zone,
        state=state,
        given_by=issuer() or "trackly",
        given_at=now,
    )
    is_given = zone is not None or state is not None
    return await producer.send(
        settings.catalogue["places"].name,
        codec.encode(record) if is_given else None,
        key=recipient_key(account, number),
        headers=event_headers(record, derived_id("place", account, number, now), now) if is_given else None,
    )


UNKNOWN_LIST = "unknown_list"
"""Code of an answer about a list that the account does not have."""

_TOLD = ("may_be_texted", "reason", "held", "not_before", "until", "rule", "code")


def with_answer(state: dict[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return a contact's state with a check's answer about it, by the same names."""
    if answer["code"] == UNKNOWN_LIST:
        # The answer knows nothing of such a list, but a record of it may exist.
        answer = {**answer, "reason": state["reason"], "held": state["held"]}
    return state | {name: answer[name] for name in _TOLD} | {"time_zones": list(answer["time_zones"])}


def timing_lines(state: dict[str, Any]) -> Iterator[str]:
    """Return lines about sending times, for a contact that is active and not held."""
    if state["active"] and not state["held"] and state["code"] is None:
        by = f" ({state['rule']})" if state["rule"] else ""
        why = "capped" if state["reason"] == CAPPED else "quiet"
        if state["may_be_texted"]:
            told = f"may be texted until {state['until']}" if state["until"] else "may be texted"
        elif state["not_before"]:
            told = f"{why}: not before {state['not_before']}" + (f", until {state['until']}" if state["until"] else "")
        else:
            told = f"{why}, and no later time is known"
        yield f"now       {told}{by}"
    yield f"zones     {', '.join(state['time_zones']) or 'none known'}"
