"""Changes of when an account texts: what the API and the page have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

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
    """Replace when an account texts. `values` have the names of a settings file; what is not there gets its default.
    `version`: as it was when somebody looked at it; None: whatever it is.

    Raises ApiError: 412, 422 with every mistake by its field, 503.
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
