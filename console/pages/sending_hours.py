"""Settings > Sending hours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from accounts.sending_hours import FIELDS, ZONES, Misfit, checked
from console.access.callers import TheParts
from console.changes.acts import Act
from console.changes.sending_hours import change
from console.changes.settings import version_of
from console.errors import ApiError, validation_failed
from console.pages.shell import done, page
from console.pages.visitor import Administrator, TheVisitor, Visitor
from hours.rules import all_rules

PATH = "/sending-hours"

router = APIRouter(prefix="/accounts/{account}" + PATH)

Text = Annotated[str, Form(max_length=200)]
Rules = Annotated[list[str], Form(max_length=200)]
Version = Annotated[str, Form(max_length=16)]


def _settings(
    rules: Rules = [],  # noqa: B006
    opens: Text = "",
    to: Text = "",
    days: Text = "",
    zones: Text = "",
    without_zone: Text = "",
    cap: Text = "",
    rule_caps: Text = "",
    keep_answers: Text = "",
) -> dict[str, Any]:
    """Return the form's content by settings file key, omitting empty fields."""
    texts = {"from": opens, "to": to, "zones": zones, "without_zone": without_zone}
    given: dict[str, Any] = {name: value.strip() for name, value in texts.items() if value.strip()}
    given |= {"rules": rules, "days": days.replace(",", " ").split(), "rule_caps": bool(rule_caps)}
    given["keep_answers"] = bool(keep_answers)
    if cap.strip():
        given["cap"] = int(cap) if cap.strip().isascii() and cap.strip().isdigit() else cap
    return given


Settings = Annotated[dict[str, Any], Depends(_settings)]


@router.get("")
async def show(request: Request, parts: TheParts, visitor: TheVisitor) -> Response:
    """The account's sending hours; for admins, as a form."""
    account = parts.accounts.accounts[visitor.account]
    values = {name: getattr(account, field) for name, field in FIELDS.items()}
    return _page(request, visitor, values, version_of(account, FIELDS.values()))


@router.post("")
async def save(
    request: Request, parts: TheParts, visitor: Administrator, settings: Settings, version: Version = ""
) -> Response:
    """Change them, unless they have changed since the form was loaded."""
    try:
        checked(settings)
        await change(Act(request, parts, visitor.principal), visitor.account, settings, version)
    except Misfit as error:
        refused = validation_failed([f"{name}: {text}" for name, text in error.problems])
        return _page(request, visitor, settings, version, refused, dict(reversed(error.problems)))
    except ApiError as error:
        return _page(request, visitor, settings, version, error)
    return done(visitor, PATH, "saved")


def _page(
    request: Request,
    visitor: Visitor,
    values: Mapping[str, Any],
    version: str,
    error: ApiError | None = None,
    problems: Mapping[str, str] | None = None,
) -> Response:
    return page(
        request,
        "sending_hours.html",
        visitor,
        200 if error is None else error.status,
        values=values,
        version=version,
        error=error,
        # If a field has several values, report the first mistake.
        problems={name.partition("[")[0]: text for name, text in (problems or {}).items()},
        sets=tuple(dict.fromkeys(rule.set for rule in all_rules())),
        rules=all_rules(),
        zones=ZONES,
    )
