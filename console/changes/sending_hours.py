"""Changes to an account's sending hours, shared by the API and the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from accounts.sending_hours import FIELDS, Misfit, checked
from console.changes.acts import Act
from console.changes.settings import check_version, write_setting
from console.errors import validation_failed
from schemas.records import AccountConfig

ACTION = "account.sending_hours"


async def change(
    act: Act,
    account: str,
    values: Mapping[str, Any],
    version: str | None = None,
) -> AccountConfig:
    """Replace an account's sending hours. `values` are by settings file key; missing ones get their defaults. `version`
    is the one the caller has seen; None: any.

    Raises ApiError: 412, 422 with every mistake by field, 503.
    """
    try:
        fields = checked(values)
    except Misfit as error:
        raise validation_failed([f"{name}: {text}" for name, text in error.problems]) from None
    async with act.parts.changing[account]:
        before = act.parts.accounts.accounts[account]
        check_version(before, version, FIELDS.values())
        after = replace(before, **fields)
        changed = [name for name, field in FIELDS.items() if getattr(before, field) != getattr(after, field)]
        if changed:
            details = {name: [getattr(before, FIELDS[name]), getattr(after, FIELDS[name])] for name in changed}
            await write_setting(act, ACTION, before, after, details)
        return after
