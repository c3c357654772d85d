"""Emails an endpoint's addresses about its pauses: rate-limited, retried, and logged when given up."""

from __future__ import annotations

import asyncio
import logging
import smtplib
from collections import Counter
from collections.abc import Callable
from email.message import EmailMessage
from functools import partial

from accounts.model import Accounts
from accounts.rates import RateLimits
from bus.clock import Clock
from outbound.mail import SmtpServer, may_pass, notice_of, send
from schemas.records import EndpointAlert
from sinks.settings import SinksSettings

log = logging.getLogger(__name__)

CHANNEL = "email"

AN_HOUR = 6
"""Notices per endpoint and hour, so that a flapping endpoint does not flood a mailbox."""

OF_ALL_A_MINUTE = 60
"""Notices of all endpoints per minute, so that a fault of ours does not look like spam to mail servers."""

WAITS = (5.0, 30.0, 120.0)
"""Seconds before each retry."""

AT_ONCE = 2
"""Connections to the mail server."""

Send = Callable[[EmailMessage, tuple[str, ...]], None]
"""Sends a message in a thread. Raises OSError."""


class Mailer:
    """Sends notices. `counts` are by channel and outcome, like those of `Channels`."""

    def __init__(
        self,
        send: Send,
        accounts: Accounts,
        clock: Clock,
        *,
        sender: str,
        days: float,
        counts: Counter[tuple[str, str]],
    ) -> None:
        self._send = send
        self._accounts = accounts
        self._clock = clock
        self._sender = sender
        self._days = days
        self._counts = counts
        self._limits = RateLimits(clock.monotonic)
        self._turn = asyncio.Semaphore(AT_ONCE)

    def wants(self, alert: EndpointAlert) -> bool:
        """Whether anybody is to be notified."""
        endpoint = self._accounts.endpoints.get(f"{alert.account}/{alert.endpoint}")
        return endpoint is not None and bool(endpoint.notify)

    async def tell(self, alert: EndpointAlert) -> None:
        """Send a notice, or give it up; never raises."""
        endpoint = self._accounts.endpoints.get(f"{alert.account}/{alert.endpoint}")
        message = None
        if endpoint is not None:
            message = notice_of(alert, endpoint, self._accounts, self._sender, self._days)
        if endpoint is None or message is None:
            return
        key = f"{alert.account}/{alert.endpoint}"
        if self._is_too_much(key):
            end = "limited"
        else:
            end = await self._handed_over(message, endpoint.notify)
        self._counts[CHANNEL, end] += 1
        if end != "told":
            log.error("nobody was notified by email of %s of endpoint %s: %s", alert.event, key, end)

    def _is_too_much(self, key: str) -> bool:
        wait = self._limits.take(key, AN_HOUR / 3_600, AN_HOUR)
        return wait > 0 or self._limits.take("", OF_ALL_A_MINUTE / 60, OF_ALL_A_MINUTE) > 0

    async def _handed_over(self, message: EmailMessage, recipients: tuple[str, ...]) -> str:
        for wait in (*WAITS, None):
            try:
                async with self._turn:
                    await asyncio.to_thread(self._send, message, recipients)
                return "told"
            except OSError as error:
                if wait is None or not may_pass(error):
                    return _named(error)
            except Exception:
                log.exception("a notice failed unexpectedly")
                return "internal_error"
            await self._clock.sleep(wait)
        raise AssertionError


def _named(error: OSError) -> str:
    """Describe an error without its text, which repeats addresses."""
    return str(error.smtp_code) if isinstance(error, smtplib.SMTPResponseException) else type(error).__name__


def mailer_of(
    settings: SinksSettings, accounts: Accounts, clock: Clock, counts: Counter[tuple[str, str]]
) -> Mailer | None:
    """Return the mailer for pauses, if an SMTP server is configured."""
    if not settings.smtp_host:
        return None
    server = SmtpServer(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_tls,
        settings.smtp_user,
        settings.smtp_password.get_secret_value(),
        settings.mail_from,
    )
    return Mailer(
        partial(send, server),
        accounts,
        clock,
        sender=settings.mail_from,
        days=settings.parked_days,
        counts=counts,
    )
