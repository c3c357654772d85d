"""Changes of endpoints: what the API and the pages have in common. Each is in the audit log before it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from starlette.requests import Request

from accounts.plan import PlanError, plan_endpoint
from accounts.secrets import REFERENCES, SecretMissing, keyring
from accounts.store import config_key
from console.audit import audit, audited
from console.callers import Parts
from console.clock import now_ms
from console.errors import conflict, not_available, not_found, validation_failed
from console.principals import Principal
from console.writer import Entry
from operations.endpoints import Refused
from operations.trials import Trial, send_trial, trial_event
from outbound.redaction import without_query
from schemas.ids import random_id
from schemas.records import EndpointConfig

READ_BACK = 3.0
"""Seconds to wait until the console has read what it has written."""

SECRET_FIELDS = ("secret", "secret_next", "headers")


def endpoint_named(parts: Parts, account: str, endpoint: str) -> EndpointConfig:
    """An endpoint of an account. Raises ApiError 404."""
    found = parts.accounts.endpoints.get(f"{account}/{endpoint}")
    if found is None:
        raise not_found(f"There is no endpoint {endpoint!r} in this account.")
    return found


async def put(
    request: Request, parts: Parts, principal: Principal, account: str, values: dict[str, Any], *, is_new: bool
) -> tuple[EndpointConfig, str | None]:
    """Create or change an endpoint; gives it and, once, the secret that was made for it.

    `values` have the names of a settings file. Raises ApiError: 409 where a new one is there already, 422 with every
    mistake by its field, 503.
    """
    _refuse_references(values)
    key = f"{account}/{values.get('id', '')}"
    before = parts.accounts.endpoints.get(key)
    if is_new and before is not None:
        raise conflict(f"There is an endpoint {values['id']!r} already.")
    try:
        plan = plan_endpoint(values, account, parts.accounts, keys=keyring())
    except (PlanError, SecretMissing) as error:
        raise validation_failed(str(error).split("\n")) from None
    if plan.unsealed:
        raise not_available(
            "There is no key to encrypt secrets with: `trackly secrets new-key` makes one for TRACKLY_SECRET_KEYS."
        )
    (change,) = plan.changes
    assert isinstance(change.config, EndpointConfig)
    await _check_address(parts, change.config)
    if change.action != "unchanged":
        action = "endpoint.create" if before is None else "endpoint.change"
        await _write(request, parts, principal, before, change.config, action)
    return change.config, plan.new_secrets.get(key)


async def change(
    request: Request,
    parts: Parts,
    principal: Principal,
    endpoint: EndpointConfig,
    action: str,
    changed: Callable[[EndpointConfig], EndpointConfig],
) -> EndpointConfig:
    """Change an endpoint by a rule of `operations.endpoints`. Raises ApiError: 409 with what the rule says, 503."""
    try:
        after = changed(endpoint)
    except Refused as refused:
        raise conflict(str(refused)) from None
    if after != endpoint:
        await _write(request, parts, principal, endpoint, after, action)
    return after


async def delete(request: Request, parts: Parts, principal: Principal, endpoint: EndpointConfig) -> None:
    """Delete an endpoint. Raises ApiError (503)."""
    await _write(request, parts, principal, endpoint, None, "endpoint.delete")


async def try_endpoint(
    request: Request, parts: Parts, principal: Principal, endpoint: EndpointConfig, event: str
) -> Trial:
    """Send a signed test from the console, and wait for the answer. Raises ApiError 422 for an event that is none."""
    try:
        sent = trial_event(event, endpoint.account, now_ms())
    except KeyError:
        raise validation_failed([f"event: {event!r} is no event"]) from None
    account = parts.accounts.accounts[endpoint.account]
    try:
        trial = await send_trial(endpoint, sent, parts.settings, account.allow_http)
    except SecretMissing as missing:
        raise conflict(str(missing)) from None
    await audit(
        request,
        parts.writer,
        principal,
        "endpoint.test",
        f"endpoint {endpoint.id}",
        accounts=[endpoint.account],
        event=event,
        result=trial.outcome.label,
    )
    return trial


async def _check_address(parts: Parts, endpoint: EndpointConfig) -> None:
    allow_http = parts.settings.allow_http or parts.accounts.accounts[endpoint.account].allow_http
    refusal = await parts.refusal_of(endpoint.url, allow_http)
    if refusal is not None:
        raise validation_failed([f"url: webhooks may not go there: {refusal}"])


async def _write(
    request: Request,
    parts: Parts,
    principal: Principal,
    before: EndpointConfig | None,
    after: EndpointConfig | None,
    action: str,
) -> None:
    config = after or before
    assert config is not None
    key = config_key(config)
    async with audited(
        request,
        parts.writer,
        principal,
        action,
        f"endpoint {config.id}",
        accounts=[config.account],
        **_differences(before, after),
    ):
        await parts.writer.write("config_endpoints", [Entry(key.encode(), after, random_id(), now_ms())])
    try:
        async with asyncio.timeout(READ_BACK):
            while parts.accounts.endpoints.get(key) != after:
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise not_available("The change is stored, and not in force yet. Look again in a moment.") from None


def _differences(before: EndpointConfig | None, after: EndpointConfig | None) -> dict[str, Any]:
    """What an audit entry tells: changed fields before and after, without secrets."""
    told: dict[str, Any] = {}
    for name in (field.name for field in fields(EndpointConfig)):
        old, new = getattr(before, name, None), getattr(after, name, None)
        if old == new or name in ("account", "id"):
            continue
        if name in SECRET_FIELDS:
            told[name] = "changed"
        elif name == "url":
            told[name] = [old and without_query(old), new and without_query(new)]
        else:
            told[name] = [old, new]
    return told


def _refuse_references(values: dict[str, Any]) -> None:
    """A reference names something on our machines, which an account's admin has no business with."""
    given = {"secret": values.get("secret"), **{f"headers.{k}": v for k, v in values.get("headers", {}).items()}}
    problems = [
        f"{name}: env: and file: are for settings files; write the value itself"
        for name, value in given.items()
        if isinstance(value, str) and value.startswith(REFERENCES)
    ]
    if problems:
        raise validation_failed(problems)


def check_overlap(hours: int) -> int:
    """The overlap of a rotation in ms. Raises ApiError 422."""
    if not 0 <= hours <= 24 * 30:
        raise validation_failed(["overlap_hours: is not within 0 and 720"])
    return hours * 3_600_000
