"""Changes to an account's alerts, shared by the API and the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from accounts.alerts import TYPES, channels_of, is_muted
from accounts.secrets import keyring, with_secrets
from bus.clock import now_ms
from console.changes.acts import Act
from console.changes.settings import write_setting
from console.errors import validation_failed
from console.queries.rows import At
from operations.alerts import ChannelTrial
from schemas.records import AccountConfig


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """What an account wants to be alerted to, and where. Addresses and secrets are never shown."""

    account: str
    types: dict[str, bool]
    minimum_severity: str
    muted_until: At | None
    channels: list[str]
    is_signed: bool


def settings_of(account: AccountConfig) -> AlertSettings:
    """Return the settings for display. `types`: whether each is on, by its switch alone."""
    return AlertSettings(
        account=account.id,
        types={name: account.alerts_on.get(name, kind.on) for name, kind in TYPES.items()},
        minimum_severity=account.alerts_minimum_severity,
        muted_until=account.alerts_muted_until if is_muted(account, now_ms()) else None,
        channels=sorted(channels_of(account)),
        is_signed=bool(account.alert_webhook_secret or account.callback_secret),
    )


async def change(
    act: Act,
    account: str,
    action: str,
    changed: Callable[[AccountConfig], AccountConfig],
) -> AccountConfig:
    """Write an account's changed settings.

    Raises ApiError: 422 with the problems found by `changed`, 503 if Kafka is unavailable.
    """
    async with act.parts.changing[account]:
        before = act.parts.accounts.accounts[account]
        try:
            after = with_secrets(changed(before), keyring().seal)
        except ValueError as error:
            raise validation_failed([str(error)]) from None
        details = {"before": _logged(before), "after": _logged(after)}
        await write_setting(act, action, before, after, details)
        return after


async def audit_test(act: Act, account: str, trials: Iterable[ChannelTrial]) -> None:
    """Record that the channels were tried, and each outcome. Raises ApiError (503)."""
    ends = {trial.channel: trial.end for trial in trials}
    about = f"account {account}"
    await act.audit("alerts.test", about, accounts=[account], channels=ends)


def _logged(account: AccountConfig) -> dict[str, object]:
    return {
        "types": dict(account.alerts_on),
        "minimum_severity": account.alerts_minimum_severity,
        "muted_until": account.alerts_muted_until,
        "channels": sorted(channels_of(account)),
    }
