"""`GET /api/account`: an account and its lists, as they are set up."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter

from console.callers import TheCaller, TheParts

router = APIRouter(tags=["Account"])


@dataclass(frozen=True, slots=True)
class ShownList:
    """A list. `forwards`: which raw items go to a URL of its own, `receipts` or `replies`."""

    number: str
    retry_threshold: int
    provider_list_ids: dict[str, str]
    forwards: list[str]


@dataclass(frozen=True, slots=True)
class ShownAccount:
    """An account without its secrets. `providers` are those with credentials."""

    id: str
    name: str
    role: str
    providers: list[str]
    registers_messages: bool
    lists: list[ShownList]


@router.get("/api/account", summary="Show the account")
async def get_account(parts: TheParts, caller: TheCaller) -> ShownAccount:
    """The account, the role that you have in it, and its lists. Settings files change them: `trackly apply`."""
    account = parts.accounts.accounts[caller.account]
    return ShownAccount(
        id=account.id,
        name=account.name,
        role=str(caller.role),
        providers=sorted(account.providers),
        registers_messages=account.registers_messages,
        lists=[
            ShownList(
                each.number,
                each.retry_threshold,
                dict(each.provider_list_ids),
                [
                    name
                    for name, url in (("receipts", each.dlr_forward_url), ("replies", each.reply_forward_url))
                    if url is not None
                ],
            )
            for each in caller.lists.values()
        ],
    )
