"""Reads topics from outside: without a consumer group, so that nothing else is affected."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import partial
from typing import Any, TypeVar

from accounts.model import CONFIG_TOPICS, Accounts
from accounts.store import AccountsReader, SettingsReader
from accounts.suppression import WHOLE_ACCOUNT
from bus import kept_key
from bus.admin import Admin
from bus.clock import now_ms
from bus.reading import topic as topics
from bus.reading.topic import BEGINNING, END, Start, Topic
from bus.settings import BusSettings
from operations.losses import KnownLosses
from schemas.codec import Codec, CodecError
from schemas.records import AccountConfig, LossSettled, RecordsLost
from schemas.registry import registry_for
from schemas.topics import parse_duration
from trackly.errors import Failed, TopicsMissing, check_topics

READ_BACK = 15.0
"""Seconds within which written settings must be readable."""

MOST_NAMED = 10
"""Maximum accounts named in an error."""

R = TypeVar("R", bound=SettingsReader[Any])


def parse_start(text: str) -> Start:
    """Parse `beginning`, `end`, an offset, an ISO 8601 time, by default in UTC, or a duration ago (`2h`).

    Raises ValueError.
    """
    if text in ("beginning", "end"):
        return END if text == "end" else BEGINNING
    if re.fullmatch(r"[0-9]{1,18}", text):
        return Start(offset=int(text))
    if re.fullmatch(r"[0-9]{1,9}(s|m|h|d)", text):
        return Start(millis=now_ms() - parse_duration(text))
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is not a valid place to begin: write beginning, end, an offset such as 1200, a time such as"
            " 2024-01-15T10:30:00Z, or 2h for two hours ago"
        ) from None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return Start(millis=int(when.timestamp() * 1000))


def find_topic(settings: BusSettings, name: str, existing: Iterable[str]) -> str:
    """Find a topic by its name with or without the prefix. Raises Failed with similar names."""
    prefix = settings.topic_prefix
    names = set(existing)
    for candidate in (name, prefix + name):
        if candidate in names:
            return candidate
    if settings.catalogue.named(name) is not None:
        raise TopicsMissing([name])
    ours = sorted({n.removeprefix(prefix) for n in names if n.startswith(prefix)})
    close = get_close_matches(name, ours, n=3) or [n for n in ours if name in n][:3]
    hint = f"Did you mean {' or '.join(close)}?" if close else "`trackly topics list` shows all topics."
    raise Failed(f"There is no topic {name!r}. {hint}")


def open_topic(
    settings: BusSettings,
    name: str,
    start: Start,
    key: bytes | None = None,
    *,
    end: Start | None = None,
    positions: Mapping[int, int] | None = None,
) -> AbstractAsyncContextManager[Topic]:
    """Open a topic by name, with or without the prefix; see `bus.reading.topic.open_topic`.

    Raises Failed for an unknown topic, BrokerUnavailable.
    """
    chosen = partial(find_topic, settings, name)
    return topics.open_topic(settings, chosen, start, key, end=end, positions=positions)


async def read_accounts(settings: BusSettings, codec: Codec) -> Accounts:
    """Return the current settings of all accounts. Raises Failed if their topics do not exist."""
    async with follow_accounts(settings, codec) as reader:
        return reader.view


async def read_losses(settings: BusSettings, codec: Codec) -> KnownLosses:
    """Return what is known of records that retention deleted unread. Raises Failed if the topic does not exist, or has
    a record of a newer version."""
    known = KnownLosses()
    async with open_topic(settings, settings.catalogue["losses"].name, BEGINNING) as losses:
        async for record in losses.rest():
            try:
                found = None if record.value is None else codec.decode(record.value)
            except CodecError as error:
                raise Failed(f"{settings.catalogue['losses'].name} has a record that cannot be read: {error}") from None
            if isinstance(found, RecordsLost | LossSettled):
                known.put(found)
    return known


def current_accounts() -> Accounts:
    """Return the current settings of all accounts, for a command that needs nothing else. Raises Failed."""
    settings = BusSettings()
    return asyncio.run(read_accounts(settings, Codec(registry_for(settings.schema_registry_url))))


async def kept_fingerprint(settings: BusSettings) -> str | None:
    """Return the fingerprint of the installation's TRACKLY_PSEUDONYM_KEY, if it has one. Raises TopicsMissing."""
    name = settings.catalogue[kept_key.TOPIC].name
    with Admin(settings) as admin:
        check_topics([name], admin.identities([name]))
    return await kept_key.kept_fingerprint(settings)


async def check_pseudonym_key(settings: BusSettings) -> None:
    """Raises PseudonymKeyWrong unless this command has the installation's TRACKLY_PSEUDONYM_KEY, if it has one;
    TopicsMissing."""
    kept_key.check(settings, await kept_fingerprint(settings))


def account_named(view: Accounts, account: str) -> AccountConfig:
    """Return the account with this id. Raises Failed."""
    if account not in view.accounts:
        raise Failed(_no_account(view, account))
    return view.accounts[account]


def _no_account(view: Accounts, account: str) -> str:
    known = sorted(view.accounts)
    named = ", ".join(known[:MOST_NAMED]) + (f" and {len(known) - MOST_NAMED} more" if known[MOST_NAMED:] else "")
    remedy = f"Known are {named}." if known else "`trackly apply FILE` creates accounts."
    return f"There is no account {account!r}. {remedy}"


def check_account(account: str | None) -> None:
    """Raises Failed if an account is named that does not exist: nothing found reads like good news."""
    if account is not None:
        account_named(current_accounts(), account)


def check_list(view: Accounts, account: str, list_number: str) -> None:
    """Raises Failed if the account or the list does not exist."""
    problem = problem_with(view, account, list_number)
    if problem:
        raise Failed(problem)


def problem_with(view: Accounts, account: str, list_number: str) -> str:
    """Return a sentence if the account or the list does not exist; "" if both do."""
    if account not in view.accounts:
        return _no_account(view, account)
    if list_number != WHOLE_ACCOUNT and list_number not in view.lists_of(account):
        lists = ", ".join(view.lists_of(account)) or "none"
        return f"Account {account} has no list {list_number}; its lists: {lists}."
    return ""


@asynccontextmanager
async def follow_accounts(settings: BusSettings, codec: Codec) -> AsyncIterator[AccountsReader]:
    """Yield the settings of all accounts, kept up to date during the block."""
    async with following(settings, AccountsReader(settings, codec), CONFIG_TOPICS) as reader:
        yield reader


@asynccontextmanager
async def following(settings: BusSettings, reader: R, topics: Iterable[str]) -> AsyncIterator[R]:
    """Yield a running reader of these topics (catalogue short names). Raises TopicsMissing."""
    names = [settings.catalogue[topic].name for topic in topics]
    with Admin(settings) as admin:
        check_topics(names, admin.describe(names))
    try:
        await reader.start()
        yield reader
    finally:
        await reader.stop()


async def read_back(is_stored: Callable[[], bool], look: str) -> None:
    """Wait until the written settings have been read back. Raises Failed, which names the command that shows the
    current ones."""
    deadline = time.monotonic() + READ_BACK
    while not is_stored():
        if time.monotonic() > deadline:
            raise Failed(
                f"Written, but not read back within {READ_BACK:g} s. Someone else may have changed the same settings. "
                f"{look} shows the current ones."
            )
        await asyncio.sleep(0.05)
