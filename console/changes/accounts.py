"""Changes to accounts and their provider credentials, shared by the API and the pages."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from accounts.checks import check_class, check_id
from accounts.secrets import keyring, with_secrets
from console.changes.acts import Act
from console.changes.settings import refuse_references, write_setting
from console.errors import conflict, validation_failed
from operations.codes import check_code
from operations.credentials import with_credentials
from schemas.records import AccountConfig

MAX_NAME = 200

MAX_CODES = 1_000
"""Maximum codes that an account may reclassify."""


async def create(act: Act, account: str, name: str) -> AccountConfig:
    """Create an account. Raises ApiError: 409 if the id exists, 422, 503."""
    try:
        check_id(account)
    except ValueError as error:
        raise validation_failed([f"id: {error}"]) from None
    if len(name) > MAX_NAME or not name.isprintable():
        raise validation_failed([f"name: must be at most {MAX_NAME} printable characters"])
    async with act.parts.changing[account]:
        if account in act.parts.accounts.accounts:
            raise conflict(f"Account {account!r} already exists.")
        made = AccountConfig(id=account, name=name or account)
        await write_setting(act, "account.create", None, made, {"name": made.name})
        return made


async def set_credentials(act: Act, account: str, source: str, given: Mapping[str, str | None]) -> None:
    """Set credentials at a provider or network, by name; None removes one, unnamed ones stay.

    Raises ApiError: 422 with every mistake by name, 503.
    """
    refuse_references(dict(given))
    async with act.parts.changing[account]:
        before = act.parts.accounts.accounts[account]
        try:
            after = with_secrets(with_credentials(before, source, given), keyring().seal)
        except ValueError as error:
            raise validation_failed(str(error).split("\n")) from None
        details = {"source": source, "set": [name for name in given if given[name] is not None]}
        details["removed"] = [name for name in given if given[name] is None]
        await write_setting(act, "account.credentials", before, after, details)


async def set_code_class(act: Act, account: str, code: str, status_class: str | None) -> None:
    """Set the effect of a failure code on the account's contacts; None: the default of the tables.

    Raises ApiError: 422, 503.
    """
    problems = []
    for name, check, value in (("code", check_code, code), ("status_class", check_class, status_class)):
        try:
            if value is not None:
                check(value)
        except ValueError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise validation_failed(problems)
    async with act.parts.changing[account]:
        before = act.parts.accounts.accounts[account]
        classes = {each: given for each, given in before.code_classes.items() if each != code}
        if status_class is not None:
            classes[code] = status_class
        if len(classes) > MAX_CODES:
            raise validation_failed([f"code: the account already has classes for {MAX_CODES} codes, the maximum"])
        if classes == dict(before.code_classes):
            return
        details = {code: [before.code_classes.get(code), status_class]}
        after = replace(before, code_classes=classes)
        await write_setting(act, "account.codes", before, after, details)
