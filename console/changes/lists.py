"""Changes to lists, shared by the API and the pages."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from accounts.lists import LIST_ID, is_number
from console.changes.acts import Act
from console.changes.settings import check_version, version_of, write_setting
from console.errors import conflict, not_found, validation_failed
from console.parts import Parts
from operations.as_code.plan import PlanError, plan_list
from outbound.redaction import without_query
from schemas.records import ListConfig

SETTINGS = tuple(name for name in ListConfig.__struct_fields__ if name not in ("account", "number"))
FORWARDS = ("dlr_forward_url", "reply_forward_url")


def list_named(lists: dict[str, ListConfig], number: str) -> ListConfig:
    """Return a list of an account. Raises ApiError 404."""
    found = lists.get(number)
    if found is None:
        raise not_found(f"There is no list {number!r} in this account.")
    return found


async def put(
    act: Act,
    account: str,
    values: dict[str, Any],
    *,
    is_new: bool,
    version: str | None = None,
) -> ListConfig:
    """Create or change a list. `values` are by settings file key; `version`: see `check_version`.

    Raises ApiError: 409 if a new one exists already, 412, 422 with every mistake by field, 503.
    """
    async with act.parts.changing[account]:
        before = act.parts.accounts.lists_of(account).get(str(values.get("number")))
        if is_new and before is not None:
            raise conflict(f"List {before.number} already exists.")
        check_version(before, version)
        try:
            plan = plan_list(values, account, act.parts.accounts)
        except PlanError as error:
            raise validation_failed(error.problems) from None
        (change,) = plan.changes
        after = change.config
        assert isinstance(after, ListConfig)
        await _check_forwards(act.parts, after)
        if after != before:
            action = "list.create" if before is None else "list.change"
            names = SETTINGS if before is None else change.fields
            details = {name: _before_and_after(before, after, name) for name in names}
            await write_setting(act, action, before, after, details)
        return after


async def assign(act: Act, before: ListConfig, receiver: str, kind: str, provider: str) -> ListConfig:
    """Give a list another receiver: an address, or a provider's list id (see `accounts.lists`). Raises ApiError."""
    if kind == LIST_ID:
        after = replace(before, provider_list_ids={**before.provider_list_ids, provider: receiver})
    elif is_number(receiver):
        after = replace(before, numbers=(*before.numbers, receiver))
    else:
        after = replace(before, senders=(*before.senders, receiver))
    values = {name: getattr(after, name) for name in ("number", *SETTINGS)}
    values |= {name: list(values[name]) for name in ("numbers", "senders")}
    values["provider_list_ids"] = dict(after.provider_list_ids)
    given = {name: value for name, value in values.items() if value not in (None, [], {})}
    return await put(act, before.account, given, is_new=False, version=version_of(before))


async def _check_forwards(parts: Parts, config: ListConfig) -> None:
    allow_http = parts.settings.allow_http or parts.accounts.accounts[config.account].allow_http
    problems = []
    for name in FORWARDS:
        url = getattr(config, name)
        refusal = None if url is None else await parts.refusal_of(url, allow_http)
        if refusal is not None:
            problems.append(f"{name}: nothing may be sent there: {refusal}")
    if problems:
        raise validation_failed(problems)


def _before_and_after(before: ListConfig | None, after: ListConfig, path: str) -> list[Any]:
    """Return a setting before and after, for the audit log."""
    name = path.removesuffix(" (removed)").replace("brake.", "brake_").partition(".")[0]
    old, new = getattr(before, name, None), getattr(after, name)
    if name in FORWARDS:
        return [old and without_query(old), new and without_query(new)]
    return [old, new]
