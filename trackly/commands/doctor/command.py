"""`trackly doctor`: checks everything that a deployment needs, and names the remedy for each problem."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from accounts.model import Accounts
from bus.admin import AdminError
from bus.kafka_time import fingerprint
from bus.producer import KafkaError
from bus.reading.topic import Stalled
from bus.settings import BusSettings
from database.settings import DatabaseSettings
from ingest.settings import IngestSettings
from outbound.settings import OutboundSettings
from schemas.codec import Codec
from schemas.registry import registry_for
from trackly.commands.doctor import accounts, kafka, losses, machine, read_model, retention, versions
from trackly.commands.doctor.findings import Finding, failed, or_fine
from trackly.errors import Failed
from trackly.output import Json, json_line, say, show
from trackly.reading import kept_fingerprint, read_accounts

MARKS = {"ok": "ok", "warning": "WARNING", "error": "ERROR"}


def doctor(
    strict: Annotated[bool, typer.Option("--strict", help="Also exit with 1 for warnings.")] = False,
    as_json: Json = False,
) -> None:
    """Check settings, Kafka, topics, registry, database, clocks, limits, and accounts, and report problems.

    Run it with the environment of the services. It changes nothing, except that it writes one record to the topic of
    clocks, to learn Kafka's time. Exit codes: 0 if there are no problems, or only warnings; 1 otherwise.
    """
    found = []
    for finding in examined():
        found.append(finding)
        if as_json:
            json_line(finding.fields())
            continue
        show(f"{MARKS[finding.level]:7}  {finding.area}: {finding.text}")
        if finding.remedy:
            show(f"         {finding.remedy}")
    errors, warnings = (sum(each.level == level for each in found) for level in ("error", "warning"))
    sys.stdout.flush()
    say(f"{_count(errors, 'error')}, {_count(warnings, 'warning')}.")
    if errors or (strict and warnings):
        raise typer.Exit(1)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def examined() -> Iterator[Finding]:
    """Yield all findings, in the order in which they should be fixed: each depends on earlier ones."""
    yield from machine.unknown_settings()
    invalid = list(machine.settings())
    yield from or_fine("settings", invalid, "services would start with them")
    if invalid:
        return
    bus, ingest, outbound = BusSettings(), IngestSettings(), OutboundSettings()
    yield machine.directory(bus.data_dir)
    yield machine.open_files(ingest.max_connections)
    yield from or_fine("keys", machine.keys(bus), "all are set")
    yield machine.registry(bus)
    database = machine.database(DatabaseSettings().database)
    yield database
    answers = True
    for finding in kafka.examine(bus):
        answers = answers and finding.code != "unreachable"
        yield finding
    if answers and database.level == "ok":
        yield from read_model.topics(bus, DatabaseSettings().database)
    if answers:
        yield from _read(outbound)
        yield from _kept(bus, DatabaseSettings().database if database.level == "ok" else None)


def _read(settings: OutboundSettings) -> Iterator[Finding]:
    try:
        running = asyncio.run(versions.running(settings))
        yield from versions.differing(running.versions)
        pseudonyms = settings.pseudonyms
        yield from versions.different_keys(running.keys, None if pseudonyms is None else pseudonyms.fingerprint)
        yield from versions.another_key(settings, asyncio.run(kept_fingerprint(settings)))
        ours = tuple(fingerprint(key.get_secret_value()) for key in settings.secret_keys)
        yield from versions.missing_keys(running.secret_keys, ours)
        yield from versions.same_names(running.processes)
        lost = asyncio.run(losses.losses(settings))
        yield from or_fine("losses", lost, "retention has deleted nothing unread that is not settled")
        yield from asyncio.run(_examine_accounts(settings))
    except (Failed, Stalled) as error:
        yield failed("accounts", "unreadable", error, "Run `trackly topics apply`.")


def _kept(settings: BusSettings, database: str | None) -> Iterator[Finding]:
    try:
        found = list(retention.unread_soon_deleted(settings, database))
    except (AdminError, KafkaError) as error:
        yield failed("retention", "unknown", error, "Check the permissions on topics: `trackly topics acls`.")
        return
    yield from or_fine("retention", found, "Kafka will not soon delete anything unread")


async def _examine_accounts(settings: OutboundSettings) -> list[Finding]:
    view: Accounts = await read_accounts(settings, Codec(registry_for(settings.schema_registry_url)))
    seen, failures = await accounts.providers_seen(settings), await accounts.failures_in_a_row(settings)
    endpoints = [finding async for finding in accounts.failing_endpoints(view, settings, failures)]
    return [
        *or_fine("secrets", accounts.unreadable_secrets(view), "all are readable here"),
        *or_fine("proofs", accounts.without_proof(view, seen), "callbacks of every provider in use are authenticated"),
        *or_fine("endpoints", endpoints, f"{len(view.endpoints)} accept webhooks"),
    ]
