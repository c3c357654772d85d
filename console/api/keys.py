"""`/api/keys`: the account's API keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import Field

from console.access.callers import Administrator, TheParts
from console.api.lists import ListAnswer
from console.changes.acts import Act
from console.changes.keys import ShownKey, create, keys_of, revoke, shown
from console.http.fields import StrictBody

router = APIRouter(tags=["API keys"])


class NewKey(StrictBody):
    """A new key."""

    name: str = Field(
        max_length=100, description="Its purpose; changes are recorded under this name.", examples=["shop"]
    )
    role: str = Field(default="admin", max_length=20, description="viewer, support, or admin.")
    endpoint: str | None = Field(
        default=None,
        max_length=64,
        description=(
            "For this endpoint's customer: the key can poll the endpoint's events and do nothing else, whatever "
            "`role` says."
        ),
    )
    expires_in_days: int | None = Field(default=None, description="When it expires; by default never.")


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A key, and its text, which is shown only once."""

    key: ShownKey
    text: str = field(repr=False)


@router.get("/api/keys", summary="List API keys")
async def list_keys(parts: TheParts, caller: Administrator) -> ListAnswer[ShownKey]:
    """The account's keys on one page, newest first, with when each was last used, to the minute."""
    return ListAnswer(await keys_of(parts, caller.account), None)


@router.post("/api/keys", status_code=201, summary="Create an API key")
async def create_key(request: Request, body: NewKey, parts: TheParts, caller: Administrator) -> CreatedKey:
    """Create a key. Only this answer contains its text; trackly stores a digest."""
    key, text = await create(
        Act(request, parts, caller.principal),
        caller.account,
        body.name,
        body.role,
        body.expires_in_days,
        body.endpoint,
    )
    return CreatedKey(shown(key), text)


@router.post("/api/keys/{key_id}/revoke", summary="Revoke an API key")
async def revoke_key(
    request: Request,
    key_id: Annotated[str, Path(max_length=64, description="The key's ID.", examples=["key_0123456789ab"])],
    parts: TheParts,
    caller: Administrator,
) -> ShownKey:
    """Revoke a key. It stops working within about a second, and stays in the list."""
    return shown(await revoke(Act(request, parts, caller.principal), caller.account, key_id))
