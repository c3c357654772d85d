"""Checks accounts' settings: secrets, proofs, endpoints."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator

from accounts.model import Accounts, all_configs, described
from accounts.secrets import SecretMissing, resolve, secrets_of
from accounts.urls import POLL
from bus.reading.topic import BEGINNING, END, Stalled, Start
from operations.endpoints import state_of
from operations.providers import ProviderActivity, setup_of
from operations.trials import refusal_of
from outbound.settings import OutboundSettings
from providers import NETWORKS, PROVIDERS
from schemas.codec import Codec, CodecError
from schemas.records import CallbacksSeen, EndpointConfig, Record, WebhookAttempt
from schemas.registry import registry_for
from trackly.commands.doctor.findings import Finding
from trackly.reading import open_topic

LAST_ATTEMPTS = 500
"""Attempts examined per partition."""

IN_A_ROW = 5
"""Consecutive failures of an endpoint that are reported."""


def unreadable_secrets(accounts: Accounts) -> Iterator[Finding]:
    """Report secrets that are unavailable here. References may well be readable where the services run."""
    for config in all_configs(accounts):
        account, what = described(config)
        for secret in secrets_of(config):
            try:
                resolve(secret)
            except SecretMissing as missing:
                yield Finding(
                    "secrets", "unreadable", "error", f"{_named(account, what)}: {missing}",
                    "Set it for every service and for this command, or replace it with `trackly apply`.",
                )  # fmt: skip


def _named(account: str, what: str) -> str:
    own = f"account {account}"
    return own if what == own else f"{own}, {what}"


def without_proof(accounts: Accounts, seen: dict[str, set[str]]) -> Iterator[Finding]:
    """Report providers whose callbacks anyone could post. `seen` are those that have called, by account."""
    for account in accounts.accounts.values():
        for name in sorted({*account.providers, *seen[account.id]} & {*PROVIDERS, *NETWORKS}):
            trusted = account.trusted_postback_cidrs if name in NETWORKS else account.trusted_cidrs
            if trusted or setup_of(name, account, "", ProviderActivity(), 0).steps[0].is_done:
                continue
            yield Finding(
                "proofs", "none", "warning",
                f"account {account.id}: nothing authenticates callbacks of {name}, so anyone who knows the URL can "
                "post them",
                f"Set credentials with `trackly apply`; docs/providers/{name}.md lists them.",
            )  # fmt: skip


async def failing_endpoints(
    accounts: Accounts, settings: OutboundSettings, failures: dict[str, tuple[int, str]]
) -> AsyncIterator[Finding]:
    """Report endpoints that accept nothing. `failures`: how many attempts failed in a row, and how the last one
    failed."""
    for name, endpoint in accounts.endpoints.items():
        if (state := state_of(endpoint)) != "active":
            yield Finding(
                "endpoints", state, "warning", f"{name} is {state}: its webhooks wait",
                f"`trackly endpoints resume {name}`, once it works." if state == "paused" else "Enable it again.",
            )  # fmt: skip
            continue
        if (refused := await _refused(endpoint, accounts, settings)) is not None:
            yield Finding(
                "endpoints", "refused", "error", f"{name}: {refused}",
                "Change its URL, or see TRACKLY_ALLOW_HTTP, TRACKLY_ALLOW_SUBNETS and TRACKLY_WEBHOOK_PORTS.",
            )  # fmt: skip
        count, how = failures.get(name, (0, ""))
        if count >= IN_A_ROW:
            yield Finding(
                "endpoints", "fails", "warning", f"{name} has failed {count} times in a row, last with {how}",
                f"`trackly endpoints test {name}` tests it; tell its owner.",
            )  # fmt: skip


async def providers_seen(settings: OutboundSettings) -> dict[str, set[str]]:
    """Return providers whose callbacks were accepted, by account."""
    seen: dict[str, set[str]] = defaultdict(set)
    async for record in _records(settings, "callbacks_seen", BEGINNING):
        if isinstance(record, CallbacksSeen) and record.taken:
            seen[record.account].add(record.provider)
    return seen


async def failures_in_a_row(settings: OutboundSettings) -> dict[str, tuple[int, str]]:
    """Return, for each endpoint, how many attempts have failed since one succeeded, and how the last one failed."""
    attempts: dict[str, list[WebhookAttempt]] = defaultdict(list)
    async for record in _records(settings, "webhooks_attempts", END, last=LAST_ATTEMPTS):
        if isinstance(record, WebhookAttempt):
            attempts[record.endpoint].append(record)
    found = {}
    for endpoint, made in attempts.items():
        made.sort(key=lambda attempt: attempt.at)
        count = next((number for number, each in enumerate(reversed(made)) if each.error_class is None), len(made))
        if count:
            found[endpoint] = count, f"status {made[-1].status}" if made[-1].status else str(made[-1].error_class)
    return found


async def _records(settings: OutboundSettings, topic: str, start: Start, last: int = 0) -> AsyncIterator[Record]:
    codec = Codec(registry_for(settings.schema_registry_url))
    name = settings.catalogue[topic].name
    positions = None
    if last:
        async with open_topic(settings, name, END, end=END) as end:
            positions = {number: max(0, at - last) for number, at in (await end.positions()).items()}
    async with open_topic(settings, name, start, end=END, positions=positions) as opened:
        try:
            async for record in opened.rest():
                if record.value is not None:
                    try:
                        yield codec.decode(record.value)
                    except CodecError:
                        continue
        except Stalled:
            return  # other findings report what Kafka no longer has


async def _refused(endpoint: EndpointConfig, accounts: Accounts, settings: OutboundSettings) -> str | None:
    account = accounts.accounts.get(endpoint.account)
    allow_http = settings.allow_http or (account is not None and account.allow_http)
    return None if endpoint.url == POLL else await refusal_of(endpoint.url, settings, allow_http)
