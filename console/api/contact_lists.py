"""`/api/lists`: an account's lists of contacts, each with its number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from accounts.brakes import MOST_MINIMUM
from console.access.callers import Administrator, Caller, TheCaller, TheParts
from console.api.lists import ListAnswer
from console.changes import lists as changes
from console.changes.acts import Act
from console.changes.settings import etag_of
from console.http.fields import IfMatch, Item, StrictBody
from console.principals import Role
from outbound.redaction import without_query
from schemas.records import ListConfig

router = APIRouter(tags=["Account"])

ListNumber = Annotated[str, Path(max_length=40, description="The list's number.", examples=["+18005551234"])]


class BrakeSettings(StrictBody):
    """How many contacts of a list rules may remove in an hour; the rest is held for an admin's decision."""

    share: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of the list's contacts; 1: all of them. Null: the account's setting, or else 0.1.",
    )
    minimum: int | None = Field(
        default=None,
        ge=0,
        le=MOST_MINIMUM,
        description=(
            "Number of contacts that may be removed whatever their share. Null: the account's setting, or else 500."
        ),
    )


class ListSettings(StrictBody):
    """Settings of a list, as in a settings file."""

    retry_threshold: int = Field(
        default=3, ge=1, le=100, description="Failures in a row after which a contact is removed."
    )
    provider_list_ids: dict[Item, Item] = Field(
        default={}, max_length=20, description="Its ID at each provider that has list IDs.", examples=[{"lime": "4711"}]
    )
    numbers: list[Item] = Field(
        default=[], max_length=1_000, description="Other numbers that it sends from.", examples=[["+18885550100"]]
    )
    senders: list[Item] = Field(
        default=[],
        max_length=1_000,
        description="Other senders that are not numbers: RCS agents, alphanumeric names.",
        examples=[["acme_agent"]],
    )
    brake: BrakeSettings | Literal["off"] | None = Field(
        default=None, description="Its brake, or `off`. Null: the account's brake.", examples=[{"share": 0.05}]
    )
    dlr_forward_url: str | None = Field(
        default=None, max_length=2_000, description="URL that gets each delivery report as the provider sent it."
    )
    reply_forward_url: str | None = Field(
        default=None, max_length=2_000, description="URL that gets each reply as the provider sent it."
    )


class NewList(ListSettings):
    """A new list."""

    number: str = Field(max_length=40, description="E.164, or a short code.", examples=["+18005550000"])


@dataclass(frozen=True, slots=True)
class ShownList:
    """A list. Only admins see the query strings of its URLs."""

    number: str
    retry_threshold: int
    provider_list_ids: dict[str, str]
    numbers: tuple[str, ...]
    senders: tuple[str, ...]
    brake: BrakeSettings
    dlr_forward_url: str | None
    reply_forward_url: str | None


@router.get("/api/lists", summary="List the lists")
async def get_lists(caller: TheCaller) -> ListAnswer[ShownList]:
    """All lists of the account, on one page."""
    return ListAnswer(lists_of(caller), None)


@router.post("/api/lists", status_code=201, summary="Create a list")
async def create_list(
    request: Request, response: Response, body: NewList, parts: TheParts, caller: Administrator
) -> ShownList:
    """Create a list. It takes effect at once."""
    values = body.model_dump(exclude_none=True)
    made = await changes.put(Act(request, parts, caller.principal), caller.account, values, is_new=True)
    return shown_list(response, caller, made)


@router.get("/api/lists/{number}", summary="Show a list")
async def get_list(number: ListNumber, response: Response, caller: TheCaller) -> ShownList:
    """One list. Send its ETag in `If-Match` when you change it."""
    return shown_list(response, caller, changes.list_named(caller.lists, number))


@router.put("/api/lists/{number}", summary="Change a list")
async def update_list(
    request: Request,
    response: Response,
    number: ListNumber,
    body: ListSettings,
    parts: TheParts,
    caller: Administrator,
    if_match: IfMatch = None,
) -> ShownList:
    """Replace the list's settings; missing settings get their defaults. The change applies to everything that arrives
    from then on.
    """
    changes.list_named(caller.lists, number)
    values = {"number": number, **body.model_dump(exclude_none=True)}
    made = await changes.put(
        Act(request, parts, caller.principal), caller.account, values, is_new=False, version=if_match
    )
    return shown_list(response, caller, made)


def lists_of(caller: Caller) -> list[ShownList]:
    """Return the account's lists by number, as the caller may see them."""
    return [_shown(caller, caller.lists[number]) for number in sorted(caller.lists)]


def shown_list(response: Response, caller: Caller, config: ListConfig) -> ShownList:
    """Return a list as the caller may see it, and set the answer's ETag if the caller is an admin."""
    # Made of the whole settings, it would let others check guesses at what they may not see.
    if caller.role >= Role.ADMIN:
        response.headers["ETag"] = etag_of(config)
    return _shown(caller, config)


def _shown(caller: Caller, config: ListConfig) -> ShownList:
    urls: list[str | None] = [config.dlr_forward_url, config.reply_forward_url]
    if caller.role < Role.ADMIN:
        urls = [None if url is None else without_query(url) for url in urls]
    return ShownList(
        config.number,
        config.retry_threshold,
        dict(config.provider_list_ids),
        config.numbers,
        config.senders,
        BrakeSettings(share=config.brake_share, minimum=config.brake_minimum),
        *urls,
    )
