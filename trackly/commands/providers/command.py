"""`trackly providers`: providers' URLs, and whether their callbacks come through."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import typer

from accounts.model import Accounts
from accounts.secrets import resolve
from accounts.toml_table import nearest
from bus.reading.topic import END, Topic
from bus.settings import BusSettings
from bus.up_files import ADDRESSES
from ingest.settings import IngestSettings
from operations.samples import SOURCES, TOPICS, Occasion, Sample
from providers import NETWORKS, PROVIDERS
from providers.base import CallbackRequest
from providers.networks import METHODS, TOKEN
from providers.proof import PATH_SECRET
from schemas.records import InboundMessage, LinkClick, Postback, Receipt, Record, RejectedRecord
from trackly.decoding import Decoder
from trackly.errors import Failed
from trackly.listing import Account, millis_since
from trackly.output import Json, Yes, confirm, json_line, say, table
from trackly.reading import account_named, open_topic, read_accounts

CONTACT = "+12025550199"
"""A number that no one has: 555-0100 to 555-0199 are reserved for fiction."""

LIST_NUMBER = "+12025550100"
"""Stands in for the list of an account without lists."""

OUTCOMES = (*dict.fromkeys(TOPICS.values()), "rejected")
"""Topics, by short name, where a callback's results may appear."""

_DIFFERENT = (
    "ingest has other credentials, which it reads when it starts: set the variables that the account names here as "
    "for ingest."
)

HINTS: Mapping[str, str] = {
    "wrong_signature": (
        f"The signature covers the public URL: set TRACKLY_PUBLIC_URL here as for ingest. Or {_DIFFERENT}"
    ),
    **dict.fromkeys(("wrong_credentials", "wrong_secret", "wrong_token"), _DIFFERENT.capitalize()),
    "credentials_unavailable": (
        "Ingest does not have a variable or file that the account's credentials name: set it for ingest, and start "
        "ingest again."
    ),
    "not_found": "The secret in the path differs from ingest's: set it here to the same value.",
    "no_credentials": "Set the account's credentials with `trackly apply`.",
    "unknown_account": "Ingest uses a different Kafka than this command, or does not know the account yet.",
}
"""What to do about an answer, by its code."""

providers = typer.Typer(no_args_is_help=True, add_completion=False)


@dataclass
class Fate:
    """The outcome of one sample: its answer, the topic where it came out, and its kind there."""

    sample: Sample
    status: int
    code: str = ""
    topic: str = ""
    became: str = ""

    @property
    def is_right(self) -> bool:
        """Whether it was stored and came out where its kind belongs."""
        return self.status == 200 and self.topic == TOPICS[self.sample.kind]


@providers.callback()
def _providers() -> None:
    """Providers: their URLs, and whether their callbacks come through."""


@providers.command("list")
def list_providers(
    account: Annotated[
        str | None,
        typer.Option(help="Show how far each provider is set up for this account, according to the read model."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List providers and networks: the URL for each, and which setting of the account or of ingest authenticates it."""
    if account is not None:
        from trackly.commands.providers.setups import list_setups  # the database library is slow to import

        list_setups(account, as_json)
        return
    rows: list[dict[str, Any]] = [
        {
            "provider": name,
            "methods": sorted(provider.methods),
            "path": _path(name, "SECRET" if provider.behind_path_secret else None) + "?account=ID",
            "credentials": provider.credentials,
            "setting": _setting(name) if provider.behind_path_secret else None,
        }
        for name, provider in sorted(PROVIDERS.items())
    ]
    rows += [
        {
            "provider": name,
            "methods": sorted(METHODS),
            "path": _path(name, None) + "?account=ID&click_id=…&payout=…",
            "credentials": (TOKEN,),
            "setting": None,
        }
        for name in sorted(NETWORKS)
    ]
    if as_json:
        for row in rows:
            json_line(row)
        return
    table(
        ("provider", "methods", "path", "credentials of the account", "setting of ingest"),
        (
            (r["provider"], ",".join(r["methods"]), r["path"], ",".join(r["credentials"]), r["setting"] or "")
            for r in rows
        ),
    )


@providers.command("codes")
def list_codes(
    account: Account = None,
    since: Annotated[str, typer.Option(metavar="DURATION", help="Failures of the last 30m, 2h, 7d.")] = "24h",
    everything: Annotated[bool, typer.Option("--all", help="Also show known codes.")] = False,
    as_json: Json = False,
) -> None:
    """List failure codes that are in no table, how often each came, and what it does to contacts.

    An unknown code has no effect if its range means the sender's, the account's, or the provider's fault; any other
    counts as a failure. To give a code another class, add a line to the account's settings: `codes = { "twilio 30500" =
    "neutral" }`. The list comes from the read model.
    """
    from trackly.commands.providers.codes import list_codes as show  # the database library is slow to import

    show(account, millis_since(since), everything, as_json)


@providers.command("receivers")
def list_receivers(
    account: Account = None,
    since: Annotated[str, typer.Option(metavar="DURATION", help="Seen in the last 24h, 30d; in whole days.")] = "30d",
    as_json: Json = False,
) -> None:
    """List receivers of replies and senders of reports that belong to no list, each with the setting to add.

    An opt-out to one of them removes from every list of the account. The list comes from the read model.
    """
    from trackly.commands.providers.receivers import list_receivers as show  # the database library is slow to import

    show(account, millis_since(since), as_json)


@providers.command("test")
def try_provider(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The provider or network, such as infobip.")],
    account: Annotated[str, typer.Option(help="The account that the callbacks are for.")],
    url: Annotated[
        str | None, typer.Option(metavar="BASE", help="Ingest's URL; by default that of `trackly up`.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for the results.")] = 20.0,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Post a callback of each kind that a provider sends, authenticated like the provider's own, and show what became
    of it.

    These are real records about a number that nobody has; their events go to the account's webhooks. Exit code 1 if a
    callback was not stored, was rejected, or produced no event.
    """
    if name not in SOURCES:
        raise typer.BadParameter(
            f"{name!r} is not a known provider; {nearest(name, sorted(SOURCES))}", param_hint="NAME"
        )
    fates = asyncio.run(_test(name, account, url, timeout, yes))
    if as_json:
        for fate in fates:
            json_line(
                {
                    "kind": fate.sample.kind,
                    "marker": fate.sample.marker,
                    "status": fate.status,
                    "code": fate.code or None,
                    "topic": fate.topic or None,
                    "became": fate.became or None,
                    "ok": fate.is_right,
                }
            )
    else:
        table(
            ("callback", "answer", "came out in", "as", "verdict"),
            (
                (f.sample.kind, f"{f.status} {f.code}".strip(), f.topic, f.became, "ok" if f.is_right else "FAILED")
                for f in fates
            ),
        )
    for hint in dict.fromkeys(HINTS[fate.code] for fate in fates if fate.code in HINTS):
        say(hint)
    if any(fate.status == 200 and not fate.topic for fate in fates):
        say(f"Stored, but nothing came of it within {timeout:g} s: does `trackly streams` run, and is it ready?")
    if not all(fate.is_right for fate in fates):
        raise typer.Exit(1)


async def _test(name: str, account: str, url: str | None, timeout: float, yes: bool) -> list[Fate]:
    settings = IngestSettings()
    decoder = Decoder(settings)
    view = await read_accounts(settings, decoder.codec)
    config = account_named(view, account)
    references = config.postbacks if name in NETWORKS else config.providers.get(name, {})
    credentials = {key: resolve(value) for key, value in references.items()}
    base = (url or _written_down(settings)).rstrip("/")
    public = (settings.public_url or base).rstrip("/")
    path_secret = credentials.get(PATH_SECRET) or _path_secret(settings, name)
    callback_url = f"{public}{_path(name, path_secret)}?account={account}"
    occasion = _occasion(view, account, name)
    samples = list(SOURCES[name].samples(f"trackly{secrets.token_hex(5)}", occasion))
    if not yes:
        confirm(
            f"This posts {len(samples)} callbacks of {name} to {base} for account {account}: {_effect(name, occasion)}."
            " Go on?"
        )
    requests = [SOURCES[name].request(sample, callback_url, credentials) for sample in samples]
    targets = [request.url.removeprefix(public) for request in requests]
    async with AsyncExitStack() as stack:
        catalogue = settings.catalogue
        topics = {
            key: await stack.enter_async_context(open_topic(settings, catalogue[key].name, END)) for key in OUTCOMES
        }
        statuses = await _post(base, targets, requests)
        fates = [Fate(sample, status, code) for sample, (status, code) in zip(samples, statuses, strict=True)]
        say(f"{len(fates)} callbacks are posted; waiting for the results.")
        await _follow(topics, decoder, fates, timeout)
    return fates


async def _post(base: str, targets: list[str], requests: list[CallbackRequest]) -> list[tuple[int, str]]:
    """Return status and code of each answer, in order."""
    answers = []
    async with httpx.AsyncClient(timeout=15) as client:
        for target, request in zip(targets, requests, strict=True):
            try:
                headers = [(key.encode(), value.encode("latin-1", "replace")) for key, value in request.headers.items()]
                answer = await client.request(request.method, base + target, content=request.body, headers=headers)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                # The error's own text may contain the URL, and with it a secret.
                what = f"Nothing answers at {base} ({type(error).__name__})"
                raise Failed(f"{what}: start ingest, or pass its address with --url.") from None
            answers.append((answer.status_code, _code(answer)))
    return answers


async def _follow(topics: Mapping[str, Topic], decoder: Decoder, fates: list[Fate], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    waiting = [fate for fate in fates if fate.status == 200]
    while waiting and time.monotonic() < deadline:
        for key, topic in topics.items():
            for record in await topic.poll(0.1):
                value = record.value or b""
                for fate in [each for each in waiting if each.sample.marker.encode() in value]:
                    fate.topic, fate.became = key, _shown(decoder.codec.decode(value))
                    waiting.remove(fate)


def _shown(record: Record) -> str:
    match record:
        case Receipt():
            return f"{record.status} {record.status_detail}"
        case InboundMessage():
            return f"{record.kind}: {record.text or record.keyword or ''}"
        case LinkClick():
            return f"click: {record.url or ''}"
        case Postback():
            return f"{record.type}: {record.payout} {record.currency}"
        case RejectedRecord():
            return f"{record.reason}: {record.error}"
        case _:
            return type(record).__name__


def _code(answer: httpx.Response) -> str:
    if answer.status_code == 200:
        return ""
    try:
        return str(answer.json()["code"])
    except (ValueError, KeyError, TypeError):
        return "not trackly's answer"


def _occasion(view: Accounts, account: str, provider: str) -> Occasion:
    lists = sorted(view.lists_of(account).values(), key=lambda each: each.number)
    known = next((each for each in lists if provider in each.provider_list_ids), lists[0] if lists else None)
    return Occasion(
        contact=CONTACT,
        list_number=known.number if known else LIST_NUMBER,
        list_id=known.provider_list_ids.get(provider, "1") if known else "1",
        now=datetime.now(UTC),
    )


def _effect(name: str, occasion: Occasion) -> str:
    if name in NETWORKS:
        return "conversions of unregistered clicks go to its webhooks"
    return f"events about {occasion.contact} go to its webhooks, and opt this number out of {occasion.list_number}"


def _path(name: str, path_secret: str | None) -> str:
    return SOURCES[name].path + ("" if path_secret is None else "/" + quote(path_secret, safe=""))


def _path_secret(settings: IngestSettings, name: str) -> str | None:
    if name in NETWORKS or not PROVIDERS[name].behind_path_secret:
        return None
    accepted = settings.path_secrets(name)
    if not accepted:
        raise Failed(
            f"{_setting(name)} is not set: set it here to the same value as for ingest, or give the account a "
            f"{PATH_SECRET}."
        )
    return accepted[0]


def _setting(name: str) -> str:
    return str(IngestSettings.model_fields[f"{name}_webhook_secret"].validation_alias)


def _written_down(settings: BusSettings) -> str:
    """Return the ingest address recorded by a running `trackly up`, or else the default one on this machine."""
    try:
        found: Any = json.loads((settings.data_dir / ADDRESSES).read_text("utf-8"))
        return str(found["ingest_url"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"http://127.0.0.1:{IngestSettings.model_fields['port'].default}"
