"""Changes of accounts and of their credentials at providers: what the API and the pages have in common."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request

from accounts.checks import check_id
from accounts.secrets import keyring, with_secrets
from console.callers import Parts
from console.errors import conflict, validation_failed
from console.principals import Principal
from console.setting_changes import refuse_references, write_setting
from operations.credentials import with_credentials
from schemas.records import AccountConfig

MAX_NAME = 200


async def create(request: Request, parts: Parts, principal: Principal, account: str, name: str) -> AccountConfig:
    """A new account. Raises ApiError: 409 where there is one of this id, 422, 503."""
    try:
        check_id(account)
    except ValueError as error:
        raise validation_failed([f"id: {error}"]) from None
    if len(name) > MAX_NAME or not name.isprintable():
        raise validation_failed([f"name: has not at most {MAX_NAME} printable characters"])
    async with parts.changing[account]:
        if account in parts.accounts.accounts:
            raise conflict(f"There is an account {account!r} already.")
        made = AccountConfig(id=account, name=name or account)
        await write_setting(request, parts, principal, "account.create", None, made, {"name": made.name})
        return made


async def set_credentials(
    request: Request, parts: Parts, principal: Principal, account: str, source: str, given: Mapping[str, str | None]
) -> None:
    """Set credentials at a provider or network, by name; None removes one, what is not named stays.

    Raises ApiError: 422 with every mistake by its name, 503.
    """
    refuse_references(dict(given))
    async with parts.changing[account]:
        before = parts.accounts.accounts[account]
        try:
            after = with_secrets(with_credentials(before, source, given), keyring().seal)
        except ValueError as error:
            raise validation_failed(str(error).split("\n")) from None
        details = {"source": source, "set": [name for name in given if given[name] is not None]}
        details["removed"] = [name for name in given if given[name] is None]
        await write_setting(request, parts, principal, "account.credentials", before, after, details)
