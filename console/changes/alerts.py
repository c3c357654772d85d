"""Changes of an account's alerts: what the API and the page have in common."""

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
    """What an account wants to be told, and where. Addresses and secrets are shown to nobody."""

    account: str
    types: dict[str, bool]
    minimum_severity: str
    muted_until: At | None
    channels: list[str]
    is_signed: bool


def settings_of(account: AccountConfig) -> AlertSettings:
    """The settings as they may be shown. `types`: whether each is told, by its switch alone."""
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
    """Write changed settings of an account.

    Raises ApiError: 422 with what `changed` says of values that do not fit, 503 when Kafka takes nothing.
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
    """Write down that the channels were tried, and how each ended. Raises ApiError (503)."""
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
