"""`trackly contact evidence` and `trackly evidence`: signed evidence about a number's consent, exported and
verified."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from bus.clock import now_ms
from bus.settings import BusSettings
from operations.evidence import NotProven, key_id, public_key, signed, verified
from schemas.codec import Codec
from schemas.masking import masked
from schemas.registry import registry_for
from trackly.audit import issuer, write_down
from trackly.errors import Failed
from trackly.listing import millis_since
from trackly.output import Json, json_line, parsed, say, show, table
from trackly.reading import account_named, check_pseudonym_key, read_accounts
from trackly.writing import producing
from trackly.written import country_of, written_number

MAX_FILE = 256 << 20
"""Maximum bytes of a file of evidence."""

evidence = typer.Typer(no_args_is_help=True, add_completion=False)


@evidence.callback()
def _evidence() -> None:
    """Verify signed evidence about contacts, and show how long removals took."""


def export_evidence(
    account: Annotated[str, typer.Argument(help="The account's ID.")],
    number: Annotated[str, typer.Argument(help="The contact's number: 18005551234, '+1 800 555 1234'.")],
    out: Annotated[Path | None, typer.Option(help="File for the signed JSON; by default standard output.")] = None,
    page: Annotated[Path | None, typer.Option("--page", help="File for a printable HTML page.")] = None,
    country: Annotated[
        str | None,
        typer.Option("--country", help="Country of a number without a country code, in two letters: US, GB."),
    ] = None,
) -> None:
    """Export everything about a number's consent, in order, as signed JSON.

    It contains replies, the rules that matched, events, states, commands, and webhooks, each with its position on Kafka
    and its hash. It comes from the read model. The audit log records who took it.
    """
    region = None if country is None else parsed(country_of, country, "--country")
    phone = parsed(lambda text: written_number(text, region), number, "NUMBER")
    settings = BusSettings()
    if settings.evidence_key is None:
        raise Failed(
            "There is no key: create one with `trackly secrets new-evidence-key`, and set TRACKLY_EVIDENCE_KEY."
        )
    found = asyncio.run(_export(settings, account, phone))
    proof = signed(found, settings.evidence_key.get_secret_value())
    text = orjson.dumps(proof, option=orjson.OPT_INDENT_2).decode()
    if page is not None:
        page.write_text(_page(proof), "utf-8")
    if out is not None:
        out.write_text(text + "\n", "utf-8")
    elif page is None:
        show(text)
    _tell(found)


@evidence.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True)],
    key: Annotated[
        list[str] | None,
        typer.Option(metavar="PUBLIC", help="The expected signer's public key; by default this installation's."),
    ] = None,
    page: Annotated[Path | None, typer.Option("--page", help="File for an HTML page of the verified content.")] = None,
    as_json: Json = False,
) -> None:
    """Verify that a file of evidence is unchanged since it was signed.

    Exit code 1 if it is not, or if someone else signed it.
    """
    trusted = _trusted(key)
    if file.stat().st_size > MAX_FILE:
        raise Failed(f"{file} has more than {MAX_FILE >> 20} MiB and is not evidence.")
    data = file.read_bytes()
    try:
        found = verified(data, trusted)
    except NotProven as error:
        if as_json:
            json_line({"file": str(file), "proven": False, "reason": str(error)})
        raise Failed(f"{file} cannot be verified: {error}.") from None
    if page is not None:
        page.write_text(_page(orjson.loads(data)), "utf-8")
    if as_json:
        told = {name: found.get(name) for name in ("account", "number", "made_at", "made_by", "complete_until")}
        json_line({"file": str(file), "proven": True, **told, "steps": len(found.get("steps", ()))})
        return
    show(f"{file} is as it was signed.")
    _tell(found)


@evidence.command("times")
def times(
    account: Annotated[str, typer.Argument(help="The account's ID.")],
    since: Annotated[str, typer.Option(metavar="DURATION", help="Within the last 24h, 30d, 400d.")] = "30d",
    as_json: Json = False,
) -> None:
    """Show how long removals took, from the receipt of the callback until every reader could see them."""
    from console.queries.evidence import time_to_effect
    from database.settings import DatabaseSettings
    from trackly.asking import asking

    with asking(DatabaseSettings()) as connection:
        found = time_to_effect(connection, account, millis_since(since), now_ms())
    figures = {"p50_ms": found.p50_ms, "p99_ms": found.p99_ms, "max_ms": found.max_ms}
    if as_json:
        json_line({"account": account, "since": since, "removals": found.count, **figures})
        return
    cells = ["–" if value is None else f"{value:,} ms" for value in figures.values()]
    table(
        ("account", "last", "removals", "median", "99 of 100 within", "longest"),
        [(account, since, f"{found.count:,}", *cells)],
    )


async def _export(settings: BusSettings, account: str, phone: str) -> dict[str, Any]:
    from console.queries.evidence import evidence_of
    from database.settings import DatabaseSettings
    from trackly.asking import asking

    codec = Codec(registry_for(settings.schema_registry_url))
    view = await read_accounts(settings, codec)
    account_named(view, account)
    await check_pseudonym_key(settings)
    aliases = () if settings.pseudonyms is None else tuple(settings.pseudonyms.every(account, phone))
    actor = f"command:{issuer() or 'trackly'}"
    with asking(DatabaseSettings()) as connection:
        found = evidence_of(connection, account, phone, list(view.lists_of(account)), aliases, actor, now_ms())
    # If nothing is kept about a number, perhaps because it was erased, nothing new is kept either.
    about = phone if found["steps"] else masked(phone)
    async with producing(settings) as producer:
        await write_down(producer, settings, codec, "contact.evidence", about, account, steps=len(found["steps"]))
    return found


def _trusted(given: list[str] | None) -> list[str]:
    keys = list(given or ())
    if not keys:
        own = BusSettings().evidence_key
        if own is None:
            raise Failed(
                "There is no key to verify it with: pass the public key with --key, or set TRACKLY_EVIDENCE_KEY."
            )
        keys = [public_key(own.get_secret_value())]
    for each in keys:
        try:
            key_id(each)
        except ValueError:
            raise typer.BadParameter(
                f"{each!r} is not a valid public key in URL-safe base64", param_hint="--key"
            ) from None
    return keys


def _tell(found: dict[str, Any]) -> None:
    say(f"{found['number']} of {found['account']}, complete until {found['complete_until'] or 'an unknown time'}:")
    for each in found["removals"]:
        took = "" if each["took_ms"] is None else f", in effect after {each['took_ms'] / 1000:.3f} s"
        said = f' "{each["said"]}"' if each["said"] else ""
        what = each["keyword"] or each["reason"]
        layer = f" ({each['layer']})" if each["layer"] else ""
        at, lists = each["received_at"] or each["happened_at"], each["list_number"] or "every list"
        say(f"  {at}{said}: {what}{layer}, from {lists}{took}")
    if not found["removals"]:
        say("  no removal is recorded")
    say(f"  {len(found['steps']):,} records, each with its position and hash.")


def _page(proof: dict[str, Any]) -> str:
    from console.pages.alone import evidence_page

    return evidence_page(proof)
