"""Settings > Lists."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form, Query, Request
from sqlalchemy import Connection
from starlette.responses import Response

from accounts.brakes import brake_of
from bus.clock import now_ms
from console.access.callers import TheParts
from console.changes import lists as changes
from console.changes.acts import Act
from console.changes.settings import version_of
from console.errors import ApiError
from console.pages import charts
from console.pages.charts import Chart
from console.pages.shell import done, page
from console.pages.trends import WINDOWS
from console.pages.visitor import Administrator, TheVisitor, Visitor
from console.queries import series
from console.queries.series import Span
from providers import PROVIDERS

router = APIRouter(prefix="/accounts/{account}/lists")

Text = Annotated[str, Form(max_length=2_000)]
Addresses = Annotated[str, Form(max_length=50_000)]
Threshold = Annotated[str, Form(max_length=20)]
Brake = Annotated[str, Form(max_length=20)]
Ids = Annotated[list[str], Form()]
Version = Annotated[str, Form(max_length=16)]

NEW = "new"


def _settings(
    retry_threshold: Threshold = "3",
    provider: Ids = [],  # noqa: B006
    provider_list_id: Ids = [],  # noqa: B006
    numbers: Addresses = "",
    senders: Addresses = "",
    dlr_forward_url: Text = "",
    reply_forward_url: Text = "",
    brake_share: Brake = "",
    brake_minimum: Brake = "",
) -> dict[str, Any]:
    """Return a list form's content by settings file key, omitting empty fields."""
    urls = {"dlr_forward_url": dlr_forward_url, "reply_forward_url": reply_forward_url}
    addresses = {"numbers": _lines(numbers), "senders": _lines(senders)}
    brake = {name: _number(value) for name, value in (("share", brake_share), ("minimum", brake_minimum)) if value}
    return {
        "retry_threshold": _number(retry_threshold),
        **({"brake": brake} if brake else {}),
        "provider_list_ids": {name: value for name, value in zip(provider, provider_list_id, strict=False) if value},
        **{name: value for name, value in {**urls, **addresses}.items() if value},
    }


Settings = Annotated[dict[str, Any], Depends(_settings)]


@router.get("")
async def show_lists(request: Request, parts: TheParts, visitor: TheVisitor) -> Response:
    """The account's lists."""
    lists = [visitor.lists[number] for number in sorted(visitor.lists)]
    account = parts.accounts.accounts[visitor.account]
    brakes = {each.number: brake_of(account, each) for each in lists}
    return page(request, "lists/list.html", visitor, lists=lists, brakes=brakes)


@router.get(f"/{NEW}")
async def new_list(request: Request, visitor: Administrator) -> Response:
    """The form of a new list."""
    return _form(request, visitor, {"retry_threshold": 3})


@router.post(f"/{NEW}")
async def create(
    request: Request,
    parts: TheParts,
    visitor: Administrator,
    settings: Settings,
    number: Text = "",
) -> Response:
    """Create a list."""
    given = {"number": number, **settings}
    try:
        await changes.put(Act(request, parts, visitor.principal), visitor.account, given, is_new=True)
    except ApiError as error:
        return _form(request, visitor, given, error)
    return done(visitor, "/lists", "saved")


@router.get("/{list_number}")
async def show_list(
    request: Request,
    list_number: str,
    parts: TheParts,
    visitor: TheVisitor,
    window: Annotated[Literal["24h", "7d", "30d", "90d"], Query()] = "7d",
) -> Response:
    """One list: its deliverability, and its settings."""
    config = changes.list_named(visitor.lists, list_number)
    shown = await parts.reads(_look, visitor.account, config.number, Span.ending(now_ms(), WINDOWS[window][1]))
    return page(
        request,
        "lists/one.html",
        visitor,
        list=config,
        brake=brake_of(parts.accounts.accounts[visitor.account], config),
        charts=shown,
        window=window,
        windows={name: words for name, (words, _) in WINDOWS.items()},
    )


@router.get("/{number}/edit")
async def edit(request: Request, number: str, visitor: Administrator) -> Response:
    """The form of a list's settings."""
    config = changes.list_named(visitor.lists, number)
    named = ("number", "retry_threshold", "numbers", "senders", *changes.FORWARDS)
    given = {name: getattr(config, name) for name in named}
    given["provider_list_ids"] = dict(config.provider_list_ids)
    given["brake"] = {"share": config.brake_share, "minimum": config.brake_minimum}
    return _form(request, visitor, given, version=version_of(config))


@router.post("/{number}/edit")
async def update(
    request: Request,
    number: str,
    parts: TheParts,
    visitor: Administrator,
    settings: Settings,
    version: Version,
) -> Response:
    """Change a list, unless it has changed since the form was loaded."""
    changes.list_named(visitor.lists, number)
    given = {"number": number, **settings}
    try:
        await changes.put(Act(request, parts, visitor.principal), visitor.account, given, is_new=False, version=version)
    except ApiError as error:
        return _form(request, visitor, given, error, version)
    return done(visitor, "/lists", "saved")


def _look(connection: Connection, account: str, number: str, span: Span) -> list[Chart]:
    kinds = series.kinds(connection, account, span, number)
    failures = series.failures(connection, account, span, "detail", number)
    removals = series.removals(connection, account, span, number)
    return [
        charts.delivered_share(*series.delivered_and_failed(connection, account, span, number), span, number),
        charts.failures(failures, span, "detail", number),
        charts.replies_and_removals(kinds, span, number),
        charts.removals_by_reason(removals, span, number),
    ]


def _number(text: str) -> int | float | str:
    """Return a field's number, or its text if it is not a number."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def _lines(text: str) -> list[str]:
    """Return the nonempty lines of a field."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def _form(
    request: Request, visitor: Visitor, values: dict[str, Any], error: ApiError | None = None, version: str = ""
) -> Response:
    """Return the form; `version` is that of the settings that it changes, empty for a new list."""
    return page(
        request,
        "lists/form.html",
        visitor,
        200 if error is None else error.status,
        values=values,
        error=error,
        version=version,
        providers=sorted(PROVIDERS),
    )
