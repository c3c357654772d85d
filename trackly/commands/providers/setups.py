"""How far each provider of an account is set up, as `trackly providers list --account` shows it."""

from __future__ import annotations

from typing import Any

from bus.clock import now_ms
from console.queries.providers import seen_of
from database.settings import DatabaseSettings
from operations.providers import ProviderActivity, Setup, setups
from operations.settings import PublicSettings
from trackly.asking import asking
from trackly.decoding import time_text
from trackly.output import json_line, table
from trackly.reading import account_named, current_accounts


class _Settings(DatabaseSettings, PublicSettings):
    """What this asks for."""


def list_setups(account: str, as_json: bool) -> None:
    """Print the providers and networks of an account. Raises Failed for an unknown account, and without database."""
    settings = _Settings()
    config = account_named(current_accounts(), account)
    found = setups(config, settings.callbacks_url, _seen(settings, account), now_ms())
    if as_json:
        for setup in found:
            json_line(_fields(setup))
        return
    table(("provider", "state", "steps", "last callback", "last refused", "why", "url"), map(_row, found))


def _seen(settings: DatabaseSettings, account: str) -> dict[str, ProviderActivity]:
    with asking(settings) as connection:
        return seen_of(connection, account)


def _row(setup: Setup) -> tuple[str, ...]:
    seen = setup.seen
    done = sum(step.is_done for step in setup.steps)
    return (
        setup.provider,
        setup.state,
        f"{done} of {len(setup.steps)}",
        _time(seen.last_taken_at),
        _time(seen.last_refused_at),
        seen.last_refusal or seen.last_rejection or "",
        setup.url,
    )


def _fields(setup: Setup) -> dict[str, Any]:
    seen = setup.seen
    return {
        "provider": setup.provider,
        "state": setup.state,
        "url": setup.url,
        "credentials": {proof.name: proof.is_set for proof in setup.proofs},
        "steps": [{"title": step.title, "done": step.is_done} for step in setup.steps],
        "taken": seen.taken,
        "refused": seen.refused,
        "last_taken_at": _time(seen.last_taken_at) or None,
        "last_refused_at": _time(seen.last_refused_at) or None,
        "last_refusal": seen.last_refusal,
        "last_rejection": seen.last_rejection,
        "understood_24h": seen.understood,
    }


def _time(millis: int | None) -> str:
    return "" if millis is None else str(time_text(millis))
