"""The components that the console's routes and changes use."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sqlalchemy import Engine

from accounts.keys import ApiKeys
from accounts.model import Accounts
from accounts.sending_hours import HoursOfAccounts
from bus.clock import now_ms
from console.backends.database import Reads, Writes
from console.backends.idempotency import Claims
from console.backends.kafka_writer import Writer
from console.backends.polled_events import PolledEvents
from console.backends.raw_callbacks import RawCallbacks
from console.backends.replays import ReplaysView
from console.contacts.answers import MARKETING, TRANSACTIONAL, Question
from console.contacts.places import ContactPlaces
from console.contacts.view import ContactsView
from console.settings import ConsoleSettings


@dataclass(frozen=True)
class Parts:
    """The components.

    `refusal_of` returns why webhooks may not go to a URL, or None; its second argument says whether http is allowed.
    `clock` returns ms, `hours` each account's sending hours. `changing` is held while changing an account's settings,
    from reading them until the change is in effect.
    """

    settings: ConsoleSettings
    accounts: Accounts
    contacts: ContactsView
    places: ContactPlaces
    writer: Writer
    claims: Claims
    reads: Reads
    writes: Writes
    database: Engine
    raw: RawCallbacks
    replays: ReplaysView
    keys: ApiKeys
    refusal_of: Callable[[str, bool], Awaitable[str | None]]
    events: PolledEvents
    clock: Callable[[], int] = now_ms
    hours: HoursOfAccounts = field(default_factory=HoursOfAccounts)
    changing: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    def question(self, account: str, listed: str | None, purpose: str = MARKETING) -> Question:
        """Return the question about an account's numbers, as of now; `listed` is None if the list is not the
        account's."""
        hours = None if purpose == TRANSACTIONAL else self.hours.of(self.accounts.accounts[account])
        view = self.contacts
        return Question(view, self.places, account, listed, hours, self.clock(), view.orders.is_clear())
