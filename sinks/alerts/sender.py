"""Sends a burst of alerts to its account's channels, and records the outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from accounts.alerts import TYPES, channels_of, is_muted, is_on
from accounts.model import Accounts
from accounts.secrets import SecretMissing, resolve
from bus.clock import Clock
from bus.errors import KafkaError
from operations.alerts import signing_secret
from outbound.alert_posts import Notice
from schemas.ids import derived_id
from schemas.records import AccountConfig, AlertTold
from sinks.alerts.bursts import Burst
from sinks.alerts.channels import TOLD, Address, Channels
from sinks.alerts.rules import Alert

log = logging.getLogger(__name__)

MUTED, NO_CHANNEL, GIVEN_UP = "muted", "no_channel", "given_up"
"""Outcomes of an alert besides `told`."""

WRITE_AGAIN = 5.0
"""Seconds between attempts to record an alert while Kafka rejects it."""


class Teller:
    """Sends bursts. `write` returns once the record is acknowledged, and raises KafkaError."""

    def __init__(
        self, accounts: Accounts, channels: Channels, write: Callable[[AlertTold], Awaitable[None]], clock: Clock
    ) -> None:
        self._accounts = accounts
        self._channels = channels
        self._write = write
        self._clock = clock

    def accounts(self) -> Iterable[str]:
        """Return every account."""
        return self._accounts.accounts

    def wants(self, alert: Alert) -> bool:
        """Whether the alert's account exists and wants alerts of this type."""
        account = self._accounts.accounts.get(alert.account)
        return account is not None and is_on(account, alert.type)

    async def tell(self, burst: Burst) -> None:
        """Send a burst to every channel, and return once the outcome is recorded."""
        account = self._accounts.accounts.get(burst.first.account)
        if account is None:
            return
        notice = notice_of(burst, self._clock.now_ms())
        ends: dict[str, str] = {}
        if is_muted(account, notice.at):
            outcome = MUTED
        elif not channels_of(account):
            outcome = NO_CHANNEL
        else:
            ends = await self._tell_all(account, notice)
            outcome = TOLD if TOLD in ends.values() else GIVEN_UP
        await self._write_down(alert_record(notice, outcome, ends))

    def stop(self) -> None:
        """Give up what waits for a channel."""
        self._channels.stop()

    async def _tell_all(self, account: AccountConfig, notice: Notice) -> dict[str, str]:
        channels = channels_of(account)
        ends = await asyncio.gather(*(self._tell_one(account, name, at, notice) for name, at in channels.items()))
        return dict(zip(channels, ends, strict=True))

    async def _tell_one(self, account: AccountConfig, channel: str, reference: str, notice: Notice) -> str:
        try:
            url = await asyncio.to_thread(resolve, reference)
            secret = await asyncio.to_thread(signing_secret, account, channel)
        except SecretMissing as missing:
            log.error("alerts of account %s cannot be sent to %s: %s", account.id, channel, missing)
            return "secret_missing"
        end = await self._channels.tell(Address(channel, url, secret, account.allow_http), notice)
        if end != TOLD:
            log.error("%s rejected alert %s of account %s: %s", channel, notice.event_id, account.id, end)
        return end

    async def _write_down(self, record: AlertTold) -> None:
        while True:
            try:
                return await self._write(record)
            except KafkaError as error:
                log.error("alert %s is not recorded yet: %s", record.event_id, type(error).__name__)
                await self._clock.sleep(WRITE_AGAIN)


def notice_of(burst: Burst, now: int) -> Notice:
    """Return the notice for a burst at a time, in ms since 1970 UTC."""
    first = burst.first
    return Notice(
        event_id=derived_id("alert", first.account, first.type, first.event_id),
        account=first.account,
        type=first.type,
        severity=TYPES[first.type].severity,
        title=burst.title,
        facts=burst.facts,
        count=burst.count,
        since=burst.since,
        at=now,
    )


def alert_record(notice: Notice, outcome: str, ends: dict[str, str]) -> AlertTold:
    """Return an alert's record: its outcome, and that of each channel."""
    return AlertTold(
        event_id=notice.event_id,
        account=notice.account,
        type=notice.type,
        severity=str(notice.severity),
        title=notice.title,
        text=notice.text,
        count=notice.count,
        outcome=outcome,
        channels=ends,
        since=notice.since,
        at=notice.at,
    )
