"""Operator actions on an account's alerts: mute, unmute, try the channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from accounts.alerts import SEVERITIES, TYPES, Severity, channels_of
from accounts.checks import KEEP, check_secret_url, check_signing_secret
from accounts.secrets import REFERENCES, SecretMissing, is_literal, keyring, resolve
from bus.clock import now_ms
from outbound.alert_posts import FORMATS, Notice
from outbound.outcomes import Outcome
from outbound.redaction import redacted_head, secrets_in
from outbound.sender import Sender
from outbound.settings import OutboundSettings
from schemas.ids import random_id
from schemas.records import AccountConfig
from schemas.topics import parse_duration

LONGEST_MUTE = 30 * 86_400_000
"""Milliseconds. To silence alerts for longer, switch them off."""


_CHECKS: Mapping[str, Callable[[str], None]] = {
    "discord_webhook_url": check_secret_url,
    "slack_webhook_url": check_secret_url,
    "alert_webhook_url": check_secret_url,
    "alert_webhook_secret": check_signing_secret,
}


@dataclass(frozen=True, slots=True)
class ChannelTrial:
    """A test alert sent to one channel. `answer` is the beginning of the answer, without secrets."""

    channel: str
    outcome: Outcome
    answer: str

    @property
    def end(self) -> str:
        """`told`, or the status or error."""
        return "told" if self.outcome.ok else str(self.outcome.status or self.outcome.error_class)


def muted(account: AccountConfig, duration: str, now: int) -> AccountConfig:
    """Return the account with its alerts muted for a duration: `30m`, `2h`, `1d`. Raises ValueError."""
    length = parse_duration(duration)
    if not 0 < length <= LONGEST_MUTE:
        raise ValueError("is not a valid mute duration: write 30m, 2h, or 1d, up to 30d")
    return replace(account, alerts_muted_until=now + length)


def unmuted(account: AccountConfig) -> AccountConfig:
    """Return the account with its alerts unmuted."""
    return replace(account, alerts_muted_until=None)


def with_settings(
    account: AccountConfig, types: Mapping[str, bool], minimum_severity: str, secrets: Mapping[str, str | None]
) -> AccountConfig:
    """Return the account with these alert settings. `secrets` are by field: an address, a secret, KEEP, or None for
    none.

    References to variables and files are reserved for the machine's operator, who uses a settings file. Raises
    ValueError with each field and its problem, without secrets.
    """
    problems = [
        f"types.{name}: is not a known type; known are {', '.join(TYPES)}" for name in types if name not in TYPES
    ]
    if minimum_severity not in SEVERITIES:
        problems.append(f"minimum_severity: is not a known severity; known are {', '.join(SEVERITIES)}")
    given: dict[str, str | None] = {}
    for name, value in secrets.items():
        given[name] = getattr(account, name) if value == KEEP else value
        if value is None or value == KEEP:
            continue
        try:
            _CHECKS[name](value)
            if value.startswith(REFERENCES):
                raise ValueError("refers to the machine's environment or files, which only a settings file may do")
            if is_literal(keyring().seal(value)):
                raise ValueError("cannot be encrypted: set TRACKLY_SECRET_KEYS for the console")
        except ValueError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise ValueError("; ".join(problems))
    return replace(account, alerts_on=dict(types), alerts_minimum_severity=minimum_severity, **_sealed(given))


def _sealed(secrets: Mapping[str, str | None]) -> dict[str, Any]:
    return {name: None if value is None else keyring().seal(value) for name, value in secrets.items()}


async def send_test(account: AccountConfig, settings: OutboundSettings) -> list[ChannelTrial]:
    """Send a test alert to every channel of an account from this process, once each, even if muted.

    The addresses are checked in the same way as in sinks.
    """
    sender = Sender(
        timeout=settings.webhook_timeout,
        allow_http=account.allow_http or settings.allow_http,
        allowed=settings.allow_subnets,
        ports=settings.webhook_ports,
    )
    await sender.start()
    try:
        return [await _try(account, name, at, sender) for name, at in channels_of(account).items()]
    finally:
        await sender.stop()


async def _try(account: AccountConfig, channel: str, reference: str, sender: Sender) -> ChannelTrial:
    try:
        url, secret = resolve(reference), signing_secret(account, channel)
    except SecretMissing as missing:
        return ChannelTrial(channel, Outcome(error_class="secret_missing"), str(missing))
    now = now_ms()
    post = FORMATS[channel].post([_test_notice(account.id, now)], secret, now // 1_000)
    outcome = await sender.post(url, post.headers, post.body)
    # The URL at which Discord and Slack accept messages is a secret, including its path.
    secrets = {url, urlsplit(url).path, *secrets_in(url), *([secret] if secret else [])}
    return ChannelTrial(channel, outcome, redacted_head(outcome.head, secrets))


def signing_secret(account: AccountConfig, channel: str) -> str | None:
    """Return the secret that signs requests to a channel: only JSON is signed. Raises SecretMissing."""
    reference = account.alert_webhook_secret or account.callback_secret
    return None if channel != "webhook" or reference is None else resolve(reference)


def _test_notice(account: str, now: int) -> Notice:
    return Notice(
        event_id=random_id("evt_test_"),
        account=account,
        type="test",
        severity=Severity.LOW,
        title="This is a test alert",
        facts={"Account": account},
        count=1,
        since=now,
        at=now,
    )
